"""The add-on's flow step by step: each does its work for real, and raises where the result is not what it must be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from demo.addon import Addon
from demo.shell import Shell
from demo.tree import FILES, Tree


@dataclass(frozen=True)
class Stage:
    """Who takes part: the operator on the storage node, the add-ons of a site and of a reader of its backups,
    and a machine on the same network that is nobody's client; and the tree that is backed up.
    """

    operator: Shell
    site: Addon
    reader: Addon
    stranger: Shell
    addon: Mapping[str, Any]
    tree: Tree


Step = tuple[str, Callable[[Stage], str]]


def steps() -> Iterator[Step]:
    """The steps in their order, each with what it shows; a step gives a few words on what it saw."""
    yield "mount the repositories", mount
    yield "back a site up, twice", back_up
    yield "rotate, and check the repository", rotate
    yield "list the backups over SSH", list_backups
    yield "restore by name into an emptied directory", restore
    yield "restore another environment's backup as a reader", restore_as_reader


def mount(stage: Stage) -> str:
    """Mounts everything that both add-ons were given."""
    for addon in (stage.site, stage.reader):
        addon.mount()
    return ", ".join(stage.site.machine.run("findmnt -n -o SOURCE -t nfs4").split())


def back_up(stage: Stage) -> str:
    """A first backup, a day's changes, an incremental second one, and a third that nothing changed for."""
    stage.tree.make()
    first = stage.site.backup(stage.tree.path, "2026-01-31_020000_UTC", "auto")
    stage.tree.change()
    second = stage.site.backup(stage.tree.path, "2026-02-01_020000_UTC", "auto")
    third = stage.site.backup(stage.tree.path, "2026-02-01_120000_UTC", "manual")
    _expect(first["files_new"] > FILES * 0.9, f"the first backup has {first['files_new']} files")
    _expect(second["files_unmodified"] > second["files_new"] + second["files_changed"], "the second is incremental")
    _expect(second["data_added"] < first["data_added"] / 2, "the second adds less than half of the first")
    _expect(third["files_new"] + third["files_changed"] == 0, "the third has nothing new")
    return f"{first['files_new']} files, then {second['files_new']} new and {second['files_changed']} changed"


def rotate(stage: Stage) -> str:
    """Keeps the two newest of three backups."""
    stage.site.rotate(2)
    stage.site.check()
    left = stage.site.snapshots()
    _expect(len(left) == 2, f"two of three backups are left, not {len(left)}")
    return "2 of 3 kept, no errors"


def list_backups(stage: Stage) -> str:
    """The catalogue names what restic has, oldest first."""
    names = stage.site.listed(stage.operator)
    _expect(names == ["2026-02-01_020000_UTC", "2026-02-01_120000_UTC"], f"the catalogue says {names}")
    return ", ".join(names)


def restore(stage: Stage) -> str:
    """The site comes back byte for byte."""
    before = stage.tree.digest()
    stage.tree.empty()
    stage.site.restore("2026-02-01_120000_UTC", "/")
    after = stage.tree.digest()
    _expect(before == after, f"the restored site differs: {before} became {after}")
    return f"digest {after[:16]} before and after"


def restore_as_reader(stage: Stage) -> str:
    """The reader's machine gets the same bytes through its read-only mount and a key of its own."""
    stage.reader.restore("2026-02-01_120000_UTC", "/srv/copy", source=stage.site.name)
    copied = Tree(stage.reader.machine, f"/srv/copy{stage.tree.path}", stage.tree.seed).digest()
    original = stage.tree.digest()
    _expect(copied == original, f"the reader's copy differs: {original} became {copied}")
    _expect(stage.reader.own["password"] != stage.site.own["password"], "each environment has its own password")
    return f"digest {copied[:16]} on both machines"


def _expect(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(f"Not as it must be: {sentence}.")
