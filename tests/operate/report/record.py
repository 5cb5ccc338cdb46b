"""Records the previews of this directory anew, by the real engine on a real storage. Then look at the difference.

``.venv/bin/python -m tests.operate.report.record <new directory>`` boots one machine, makes every change that has a
recording here, and writes what the engine printed. It takes about ten minutes without KVM; the directory can go after.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from tests.operate.report.golden import HERE
from tests.project import Project

SHOP: dict[str, Any] = {"clients": ["10.77.0.101"], "readers": ["blog"]}
BLOG: dict[str, Any] = {"clients": ["10.77.0.102"], "generation": 2}
USUAL: dict[str, Any] = {"shop": SHOP, "blog": BLOG}
MANY: dict[str, Any] = {
    f"site-{number:03}": {
        "clients": [f"10.{number // 250 + 1}.{number % 250}.0/24"],
        "readers": ["shop"] * (not number % 5),
    }
    for number in range(500)
}

PREVIEW = "preview --json --show-sames"
DRIFT = f"{PREVIEW} --refresh --expect-no-changes"

URN = "urn:pulumi:test::backup-storage::"
NODE = f"{URN}backup-storage:index:StorageNode$"

ROOT = f"{URN}backup-storage:index:Environments$random:index/randomPassword:RandomPassword::environments-secret-root"

#: Left out: they differ from run to run, or name the directory that the preview ran in.
PASSING = ("stackTrace", "sourcePosition", "created", "modified", "propertyDependencies")


class Recorder:
    """One storage, and what the engine says of changes to it."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def up(self, **settings: Any) -> None:
        """Makes a change."""
        self._project.configure(**settings)
        self._project.make("up")

    def record(self, name: str, *flags: str, command: str = PREVIEW, stack: str = "test", **settings: Any) -> None:
        """Writes down the preview of a change that is not made."""
        self._project.configure(**settings)
        line = f"pulumi {command} --non-interactive --stack {stack} {' '.join(flags)}"
        said = self._project.shell(line, check=False).stdout
        write(name, trimmed(json.loads(said)))
        print(name, flush=True)

    def replaced(self, name: str, urn: str, **settings: Any) -> None:
        """Writes down the preview of a resource that is replaced by hand."""
        self.record(name, "--replace", f"'{urn}'", **settings)

    @contextmanager
    def edited(self, path: str, old: str, new: str) -> Iterator[None]:
        """The project's code is another for as long as the block runs."""
        file = self._project.root / path
        before = file.read_text(encoding="utf-8")
        assert old in before, f"{path} no longer holds {old!r}"
        file.write_text(before.replace(old, new, 1), encoding="utf-8")
        yield
        file.write_text(before, encoding="utf-8")

    @contextmanager
    def three_nodes(self) -> Iterator[None]:
        """The state says for as long as the block runs that there are three nodes, written out of the one."""
        content = json.loads(self._project.shell("pulumi stack export --stack test").stdout)
        one = content["deployment"]["resources"]
        copies = [_renamed(resource, number) for number in (2, 3) for resource in one if "storage-1" in resource["urn"]]
        self._import({**content, "deployment": {**content["deployment"], "resources": one + copies}})
        yield
        self._import(content)

    def _import(self, content: Mapping[str, Any]) -> None:
        file = self._project.root / "state.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        self._project.shell("pulumi stack import --stack test --force --file state.json")


def _renamed(resource: Mapping[str, Any], number: int) -> Any:
    return json.loads(json.dumps(resource).replace("storage-1", f"storage-{number}").replace(".0.11", f".0.1{number}"))


def trimmed(preview: dict[str, Any]) -> dict[str, Any]:
    """A preview without what differs from run to run."""
    preview.pop("duration", None)
    for step in preview["steps"]:
        for state in (step.get("oldState"), step.get("newState")):
            for key in PASSING if state else ():
                state.pop(key, None)
    return preview


def write(name: str, preview: dict[str, Any]) -> None:
    """One line a step, so that a difference shows which steps changed."""
    steps = preview.pop("steps")
    head = json.dumps(preview, indent=1, ensure_ascii=False).removesuffix("\n}")
    text = (
        head
        + ',\n "steps": [\n'
        + ",\n".join(f"  {json.dumps(step, ensure_ascii=False)}" for step in steps)
        + "\n ]\n}\n"
    )
    (HERE / f"{name}.json").write_text(text, encoding="utf-8")


def of_settings(recorder: Recorder) -> None:
    """Changes that somebody makes in the settings."""
    record = recorder.record
    docs = {"clients": ["10.1.0.0/16"], "readers": ["shop"]}
    record("nothing")
    record("environment-added", environments={**USUAL, "docs": docs})
    record("environments-added-500", environments={**USUAL, **MANY})
    record("environment-removed", environments={"shop": {**SHOP, "readers": []}})
    record("all-environments-removed", environments={})
    record("password-rotated", environments={**USUAL, "shop": {**SHOP, "generation": 2}})
    record("generation-lowered", environments={**USUAL, "blog": {**BLOG, "generation": 1}})
    record("clients-changed", environments={**USUAL, "blog": {**BLOG, "clients": ["10.77.0.102", "10.2.0.0/16"]}})
    record("readers-changed", environments={"shop": {**SHOP, "readers": []}, "blog": {**BLOG, "readers": ["shop"]}})
    record("disk-grown", sizeGb=20)
    record("disk-shrunk-refused", sizeGb=5)
    record("machine-resized", memoryMb=2048, cpus=2)
    record("admins-changed", adminCidrs=["10.0.2.2", "10.9.0.0/24"])
    record("settings-refused", sizeGb=1, typo=True)
    record("protection-raised", protect=True)


def of_the_engine_and_the_code(recorder: Recorder) -> None:
    """Resources that are replaced by hand, and changes to the project's code."""
    recorder.replaced("machine-replaced", f"{NODE}pulumi-python:dynamic/qemu:Machine::storage-1")
    recorder.replaced("disk-replaced", f"{NODE}pulumi-python:dynamic/qemu:Disk::storage-1-data")
    recorder.replaced("host-key-replaced", f"{NODE}tls:index/privateKey:PrivateKey::storage-1-host-key")
    recorder.replaced("secret-root-replaced", ROOT)
    with recorder.edited("storage_node/__init__.py", '"""', '"""Changed. '):
        recorder.record("program-changed")
        recorder.record("program-changed-and-disk-grown", sizeGb=20)
    with recorder.edited("components/storage.py", "node_name(1), 1", "node_name(2), 2"):
        recorder.record("node-renamed")


def of_what_is_protected(recorder: Recorder) -> None:
    """The same on a storage whose disks and secret root are protected."""
    recorder.up(protect=True)
    recorder.record("protection-lifted", protect=False)
    recorder.replaced("disk-replaced-refused", f"{NODE}pulumi-python:dynamic/qemu:Disk::storage-1-data", protect=True)
    recorder.replaced("secret-root-replaced-refused", ROOT, protect=True)
    with recorder.edited("components/storage.py", "node_name(1), 1", "node_name(2), 2"):
        recorder.record("node-renamed-refused", protect=True)
    shop = {"clients": ["10.77.0.101", "10.1.0.0/16"], "readers": ["docs"], "generation": 3}
    many = {"shop": shop, "docs": {"clients": ["10.3.0.0/24"]}}
    recorder.record("many-things", protect=False, sizeGb=20, memoryMb=1536, environments=many)
    recorder.up()


def of_three_nodes(recorder: Recorder) -> None:
    """Several nodes at once."""
    one = (
        "StorageNode(node_name(1), 1, settings, platform, program, opts=guarded)\n    return _serving(settings, [node],"
    )
    several = (
        "[StorageNode(node_name(n), n, settings, platform, program, opts=guarded) for n in range(1, 4)]\n"
        "    return _serving(settings, node,"
    )
    with recorder.three_nodes(), recorder.edited("components/storage.py", one, several):
        recorder.record("three-nodes-resized", memoryMb=2048)
        with recorder.edited("storage_node/__init__.py", '"""', '"""Changed. '):
            recorder.record("three-nodes-program-changed")
        with recorder.edited("components/storage.py", "range(1, 4)", "range(1, 6)"):
            recorder.record("three-nodes-to-five")
        with recorder.edited("components/storage.py", "range(1, 4)", "range(1, 3)"):
            recorder.record("three-nodes-to-two")


def of_drift(recorder: Recorder, root: Path) -> None:
    """What happened to the machine and the disk behind the engine's back."""
    recorder.record("drift-nothing", command=DRIFT)
    machine = Machine(StackDirectory(root / ".state/local/test"), "storage-1")
    machine.kill()
    recorder.record("drift-machine-off", command=DRIFT)
    for name, place in (("drift-machine-gone", machine.directory), ("drift-disk-gone", machine.stack.disk("x").parent)):
        aside = place.rename(root / "aside")
        recorder.record(name, command=DRIFT)
        aside.rename(place)


def main() -> None:
    """Makes the storage, records, and removes it."""
    project = Project(Path(sys.argv[1]).resolve(), environments=USUAL, protect=False)
    recorder = Recorder(project)
    recorder.up()
    try:
        of_settings(recorder)
        of_the_engine_and_the_code(recorder)
        of_what_is_protected(recorder)
        of_three_nodes(recorder)
        project.shell("pulumi stack init fresh && cp Pulumi.test.yaml Pulumi.fresh.yaml")
        recorder.record("new-storage", stack="fresh")
        of_drift(recorder, project.root)
    finally:
        project.configure()
        project.make("destroy")


if __name__ == "__main__":
    main()
