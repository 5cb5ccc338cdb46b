"""What is left to be healed: counted, looked at, waited for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from storage_node.cluster import brick, gluster, healing
from storage_node.cluster.gluster import Heal
from storage_node.errors import AwayError, NodeError
from storage_node.paths import Paths

pytestmark = pytest.mark.cluster


def with_entries(root: Path, count: int) -> Path:
    """A brick's index of so many entries to be healed."""
    index = root / "brick/brick-0/.glusterfs/indices/xattrop"
    index.mkdir(parents=True)
    (index / "xattrop-6f2a").touch()
    for number in range(count):
        (index / f"{number:08x}").touch()
    return index


def test_healing_is_over_when_no_brick_is_away_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    seen = iter([[Heal("a", 7, 0), Heal("b", None, 0)], [Heal("a", 7, 0), Heal("b", 0, 0)]])
    clean = [Heal("a", 0, 0), Heal("b", 0, 0)]
    assert healing.await_healed(lambda: next(seen, clean)) == 7


def test_many_entries_are_counted_and_only_the_last_few_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    counts, looked = iter([400, 21, 20]), list[bool]()

    def heals(_: str) -> list[Heal]:
        looked.append(True)
        return [Heal("a", 3 if len(looked) == 1 else 0, 0)]

    monkeypatch.setattr(gluster, "listed", lambda _: {"a": next(counts, 0)})
    monkeypatch.setattr(gluster, "heals", heals)
    assert healing.await_healed(partial(healing.look, Paths(tmp_path), "replicated")) == 400
    assert len(looked) == 3


def test_entries_that_cannot_be_looked_at_in_time_are_still_to_be_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    looked = list[bool]()

    def look() -> list[Heal]:
        looked.append(True)
        if len(looked) < 3:
            raise AwayError("`gluster volume heal data` did not end within 240 s.")
        return [Heal("a", 0, 0)]

    assert healing.await_healed(look) == 1
    assert len(looked) == 4


def test_copies_that_contradict_each_other_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NodeError, match="2 entries of the volume contradict each other"):
        healing.await_healed(lambda: [Heal("a", 2, 2)])


def test_many_entries_are_told_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with_entries(tmp_path, 30)
    monkeypatch.setattr(gluster, "listed", lambda _: {"a": 30, "b": 0})
    monkeypatch.setattr(gluster, "heals", lambda _: pytest.fail("looked at each"))
    paths = Paths(tmp_path)
    assert healing.look(paths, "replicated", "a") == [Heal("a", 30, None), Heal("b", 0, None)]
    # gluster counts nothing there; each node knows its own brick.
    assert healing.look(paths, "dispersed", "own") == [Heal("own", 30, None)]


@pytest.mark.parametrize(("bricks", "few"), [(2, 20), (3, 20), (5, 7), (7, 3)])
def test_the_more_bricks_there_are_the_fewer_entries_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bricks: int, few: int
) -> None:
    looked = [Heal("0", 1, 0)]
    monkeypatch.setattr(gluster, "heals", lambda _: looked)
    for count, seen in ((few, looked), (few + 1, [Heal(str(number), few + 1, None) for number in range(bricks)])):
        monkeypatch.setattr(gluster, "listed", lambda _, n=count: {str(number): n for number in range(bricks)})
        assert healing.look(Paths(tmp_path), "replicated") == seen


def test_few_entries_are_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with_entries(tmp_path, 20)
    monkeypatch.setattr(gluster, "heals", lambda _: [Heal("a", 3, 1)])
    assert healing.look(Paths(tmp_path), "dispersed", "own") == [Heal("a", 3, 1)]


def test_what_is_being_written_just_now_is_not_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    index = with_entries(tmp_path, 40)

    def written(_: float) -> None:
        for number in range(35):
            (index / f"{number:08x}").unlink(missing_ok=True)
        (index / "another").touch()

    monkeypatch.setattr("time.sleep", written)
    monkeypatch.setattr(brick, "LISTED_SECONDS", 0.05)
    assert healing.counts(Paths(tmp_path), "dispersed") == {"": 5}
    assert healing.counts(Paths(tmp_path / "none"), "dispersed") == {"": 0}
