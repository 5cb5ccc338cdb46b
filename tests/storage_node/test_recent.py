"""What was being changed when a member was lost is told to the bricks that remain, and asked for when all are back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage_node import system
from storage_node.cluster import brick, gluster, pending, recent, twice
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.storage_node import nodes

pytestmark = pytest.mark.cluster

# data, metadata, names (afr.h).
NOTHING, SOME, WHOLE = bytes(12), bytes(11) + b"\1", b"\0\0\0\1" + bytes(7) + b"\1"


class Member:
    """A member with its brick, a clock, connections to the others' bricks, and what it told and asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, name: str, count: int, layout: str) -> None:
        self.paths, self.now, self.others = Paths(root), 1000.0, set(range(1, count + 1)) - {int(name[-1])}
        self.reached = set(self.others)
        self.told: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.attributes: dict[Path, dict[str, bytes]] = {}
        self.brick = root / "brick/brick-0"
        self.answers, self.also = True, ""
        self.ages: dict[str, float] = {}
        nodes.store_member(self.paths, name, nodes.cluster(count, layout=layout))
        (self.brick / ".glusterfs/00").mkdir(parents=True)
        self.directory(".", 86400)
        monkeypatch.setattr("storage_node.cluster.recent.time.monotonic", lambda: self.now)
        monkeypatch.setattr(system, "must", self.connections)
        monkeypatch.setattr(system, "run", self.run)
        calls = {f"10.77.0.{10 + n}:/brick/brick-{n}": f"data-client-{n}" for n in range(1, count + 1)}
        monkeypatch.setattr(pending, "clients", lambda _: calls)
        monkeypatch.setattr(pending, "teller", self.teller)
        monkeypatch.setattr(pending, "tell", self.tell)
        self.listed, self.counted = [0] * count, 0
        monkeypatch.setattr(brick, "listed", lambda _: self.listed[int(name[-1]) - 1])
        monkeypatch.setattr(gluster, "listed", self.count)
        monkeypatch.setattr("os.listxattr", lambda path, **_: list(self.attributes.get(path, {})))
        monkeypatch.setattr("os.getxattr", lambda path, name, **_: self.attributes[path][name])
        # As on a machine that has started long ago and has asked since.
        self.paths.at("/run/storage-node-recent.asked").parent.mkdir(exist_ok=True)
        self.paths.at("/run/storage-node-recent.asked").touch()
        self.keeper = recent.Keeper(self.paths)

    def directory(self, name: str, age: float, *files: str) -> None:
        """A directory of the brick that was changed so many seconds ago."""
        (self.brick / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            (self.brick / name / file).touch()
        self.ages[name] = age
        # What is made in a directory changes the one above, too.
        for other, seconds in self.ages.items():
            os.utime(self.brick / other, (time.time() - seconds,) * 2)

    def connections(self, line: Sequence[str], _: str) -> str:
        assert line[-1].startswith("( dport >= :49152")
        return "".join(f"0 0 10.77.0.9:49000 10.77.0.{10 + n}:49153 \n" for n in self.reached)

    def count(self, _: str) -> dict[str, int]:
        self.counted += 1
        return {f"brick-{number}": count for number, count in enumerate(self.listed)}

    def run(self, line: Sequence[str], **_: object) -> system.Result:
        assert line[:3] == ["stat", "--format=", "--"]
        self.asked += [str(Path(path).relative_to(self.paths.data)) for path in line[3:]]
        return system.Result(1, "", "No such file or directory" + self.also)

    @contextmanager
    def teller(self, _paths: Paths, _purpose: str) -> Iterator[Path]:
        yield self.brick if self.answers else self.paths.at("/nowhere")

    def tell(self, directory: Path, client: str) -> None:
        if not directory.is_dir():
            raise FileNotFoundError(directory)
        self.told.append((str(directory.relative_to(self.brick)), client))

    def looks(self, seconds: float) -> None:
        """Looks as often as it does, for so long."""
        end = self.now + seconds
        while self.now < end:
            self.now += 5
            self.keeper.look()

    def without(self, *numbers: int) -> None:
        """These members are out of reach for a minute."""
        self.reached -= set(numbers)
        self.looks(60)
        self.reached |= set(numbers)


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Member:
    """The first of three members of a replicated volume, which has seen the others."""
    found = Member(monkeypatch, tmp_path, "storage-1", 3, "replicated")
    found.directory("shop/data/c4", 3600, "old")
    found.directory("shop/locks", 20, "lock")
    found.directory("shop/data", 15)
    found.directory("shop", 3600)
    found.looks(60)
    return found


def test_what_was_changed_lately_may_be_missing_on_the_brick_of_a_lost_member(member: Member) -> None:
    assert (member.told, member.asked) == ([], [])
    member.reached.remove(2)
    member.looks(5)
    assert member.told == []  # a brick that is started anew is as long away
    member.looks(60)
    assert sorted(member.told) == [("shop/data", "data-client-2"), ("shop/locks", "data-client-2")]
    # Once, and by nobody else again: what other clients do meanwhile they note themselves.
    member.looks(600)
    assert len(member.told) == 2
    assert member.asked == []
    member.reached.add(2)
    for member.listed in ([1, 0, 0], [0, 0, 1]):
        member.looks(300)
        assert member.asked == []  # it would keep the healing waiting
    member.listed = [0, 0, 0]
    member.looks(120)
    assert sorted(member.asked) == ["shop/data/c4", "shop/locks/lock"]
    before = member.counted
    member.looks(600)
    assert (len(member.asked), member.counted) == (2, before)


def test_who_may_lack_something_itself_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    member = Member(monkeypatch, tmp_path, "storage-1", 5, "replicated")
    member.directory("shop", 10)
    member.listed[4] = 1  # what the fifth has and another lacks
    member.looks(300)
    member.without(2)
    assert member.told == []
    member.listed[4] = 0
    member.looks(300)
    # Nor one that the others were without for a while, until all is healed.
    member.without(*member.others)
    member.listed[1] = 1
    member.looks(60)
    member.without(2)
    assert member.told == []
    member.listed[1] = 0
    member.looks(300)
    member.without(2)
    assert ("shop", "data-client-2") in member.told


def test_who_is_left_without_a_majority_tells_nothing_and_asks_for_what_it_has(member: Member) -> None:
    member.reached.clear()
    member.looks(600)
    assert member.told == []
    member.reached |= member.others
    member.looks(25)
    assert member.asked == []  # its mount may not have reached them all yet
    member.looks(60)
    assert sorted(member.asked) == ["shop/data/c4", "shop/locks/lock"]


def test_a_brick_that_is_only_started_anew_is_left_alone(member: Member) -> None:
    member.reached.remove(2)
    member.looks(5)
    member.reached.add(2)
    member.looks(600)
    assert (member.told, member.asked) == ([], [])


def test_the_first_that_remains_tells_and_the_next_what_it_did_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    member = Member(monkeypatch, tmp_path, "storage-3", 5, "replicated")
    member.looks(60)
    for name in ("told", "some", "other", "never"):
        member.directory(name, 10)
    member.reached.remove(1)
    member.looks(35)
    assert member.told == []
    member.attributes = {
        member.brick / "told": {"trusted.afr.data-client-1": WHOLE},
        # What was changed since is known by name; what was under way before is not.
        member.brick / "some": {"trusted.afr.data-client-1": SOME, "trusted.afr.dirty": SOME},
        # Another may be filled from this one just now.
        member.brick / "other": {"trusted.afr.data-client-1": SOME, "trusted.afr.data-client-4": SOME},
        member.brick / "never": {"trusted.afr.data-client-4": NOTHING, "user.note": b"text"},
    }
    member.looks(30)
    assert member.told == [("never", "data-client-1"), ("some", "data-client-1")]


@pytest.mark.parametrize(("fate", "tells"), [("lives", False), ("is lost, too", True)])
def test_where_the_first_is_done_before_the_next_has_its_turn_it_is_left_at_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fate: str, tells: bool
) -> None:
    member = Member(monkeypatch, tmp_path, "storage-3", 5, "replicated")
    member.looks(60)
    member.directory("shop", 10)
    member.reached.remove(1)
    member.looks(15)
    member.reached.add(1)
    if fate == "is lost, too":
        member.reached.remove(2)
    member.looks(10)
    assert (("shop", "data-client-1") in member.told) is tells
    assert member.asked == []


@pytest.mark.parametrize("between", [0, 600])
def test_several_may_be_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, between: float) -> None:
    member = Member(monkeypatch, tmp_path, "storage-3", 5, "replicated")
    member.looks(60)
    member.directory("shop", 10)
    member.reached.remove(1)
    member.looks(between)
    # What was changed since then is known to be missing on the first.
    member.attributes = {member.brick / "shop": {"trusted.afr.data-client-1": SOME}}
    member.reached.remove(2)
    member.looks(30)
    assert sorted(member.told) == [("shop", "data-client-1"), ("shop", "data-client-2")]


def test_a_volume_that_does_not_answer_is_told_when_it_does(member: Member) -> None:
    member.answers = False
    member.reached.remove(2)
    with pytest.raises(NodeError, match="What a lost member may lack cannot be seen to yet: No such file"):
        member.looks(30)
    member.answers = True
    # One that is gone is of no interest any more.
    (member.brick / "shop/locks/lock").unlink()
    (member.brick / "shop/locks").rmdir()
    os.utime(member.brick / "shop", (0, 0))
    member.looks(10)
    assert member.told == [("shop/data", "data-client-2")]


def test_after_a_start_what_was_changed_last_before_is_asked_for(member: Member) -> None:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for name, before in (("shop/locks", 30.0), ("shop/data/c4", 85.0), ("shop/data", 95.0), ("shop", -5.0)):
        os.utime(member.brick / name, (booted - before,) * 2)
    os.utime(member.brick, (booted - 86400,) * 2)
    member.paths.at("/run/storage-node-recent.asked").unlink()
    member.keeper = recent.Keeper(member.paths)
    member.looks(60)
    assert sorted(member.asked) == ["shop/data/c4/old", "shop/locks/lock"]
    # Not again when it is this program alone that is started anew.
    member.keeper = recent.Keeper(member.paths)
    member.looks(60)
    assert len(member.asked) == 2


def test_what_is_refused_is_settled_before_it_counts_as_asked_for(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory before what is in it, and anew until it is done."""
    settled: list[str] = []
    reasons = [ConnectionRefusedError(111, "Connection refused")]

    def settle(_: Paths, names: list[str]) -> None:
        settled.extend(names)
        if reasons:
            raise reasons.pop()

    monkeypatch.setattr(twice, "settle", settle)
    member.also = "\nstat: cannot statx '/data/shop/data/c4': Input/output error\n"
    member.directory("shop", 10)
    member.without(2)
    with pytest.raises(NodeError, match="What a lost member may lack cannot be seen to yet: Connection refused"):
        member.looks(120)
    assert settled == ["shop/data", "shop/locks"]
    member.looks(120)
    assert settled == ["shop/data", "shop/locks"] * 2 + ["shop/data/c4", "shop/locks/lock"]


def test_a_dispersed_volume_notes_it_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    member = Member(monkeypatch, tmp_path, "storage-1", 3, "dispersed")
    member.directory("shop", 10)
    member.looks(10)
    member.reached.remove(2)
    member.looks(60)
    member.reached.add(2)
    member.looks(60)
    assert (member.told, member.asked) == ([], [])
