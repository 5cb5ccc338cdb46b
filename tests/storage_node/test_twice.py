"""A directory that two bricks know by different ids is chosen by the member that knows that another lacks it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_node import system
from storage_node.cluster import brick, gluster, pending, twice, wire
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.storage_node import nodes
from tests.storage_node.bricks import make
from tests.storage_node.pool import Pool

pytestmark = pytest.mark.cluster

ROOT, INNER, SHOP, TWICE, FILE = (f"0000000{n}-0000-0000-0000-000000000001" for n in range(5))


class Member:
    """The first of three members with its brick, a clock, and what its volume refuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, layout: str = "replicated") -> None:
        self.paths, self.now, self.reached = Paths(root), 1000.0, {2, 3}
        self.refused = {"shop/twice"}
        self.listed = {SHOP, TWICE, FILE}
        self.accused = {SHOP, TWICE, FILE}
        self.chosen: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.brick = root / "brick/brick-1"
        nodes.store_member(self.paths, "storage-1", nodes.cluster(3, layout=layout))
        (self.brick / "shop/twice").mkdir(parents=True)
        (self.brick / "shop/file").touch()
        for identity, target in ((ROOT, "../../.."), (SHOP, f"../../{brick.below(ROOT)}/shop")):
            self.link(identity, target)
        self.link(TWICE, f"../../{brick.below(SHOP)}/twice")
        handle = brick.handle(self.brick, FILE)
        handle.parent.mkdir(parents=True, exist_ok=True)
        handle.hardlink_to(self.brick / "shop/file")
        monkeypatch.setattr("storage_node.cluster.twice.time.monotonic", lambda: self.now)
        monkeypatch.setattr(system, "must", self.connections)
        monkeypatch.setattr(system, "run", self.stat)
        monkeypatch.setattr(brick, "index", lambda _: set(self.listed))
        monkeypatch.setattr(pending, "accused", self.accuses)
        monkeypatch.setattr(gluster, "choose", lambda _, name, path: self.chosen.append((name, path)))
        self.keeper = twice.Keeper(self.paths)

    def link(self, identity: str, target: str) -> None:
        handle = brick.handle(self.brick, identity)
        handle.parent.mkdir(parents=True, exist_ok=True)
        handle.symlink_to(target)

    def connections(self, _line: Sequence[str], _what: str) -> str:
        return "".join(f"0 0 10.77.0.11:49000 10.77.0.{10 + n}:49153 \n" for n in self.reached)

    def stat(self, line: Sequence[str], **_: object) -> system.Result:
        name = str(Path(line[-1]).relative_to(self.paths.data))
        self.asked.append(name)
        if name in self.refused:
            return system.Result(1, "", f"stat: cannot statx '{line[-1]}': Input/output error\n")
        return system.Result(0, "\n", "")

    def accuses(self, entry: Path) -> dict[str, bytes]:
        return {"data-client-2": bytes(11) + bytes([entry.name in self.accused])}

    def looks(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 5
            self.keeper.look()


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Member:
    """The first of three, whose brick has a directory that another one has made once more."""
    return Member(monkeypatch, tmp_path)


def test_what_the_volume_refuses_and_another_brick_lacks_is_taken_from_here(member: Member) -> None:
    member.looks(50)
    assert member.asked == []  # it may be being healed just now
    member.looks(20)
    assert member.chosen == [("10.77.0.11:/brick/brick-1", "/shop/twice")]
    assert sorted(member.asked) == ["shop", "shop/twice"]
    member.refused.clear()
    member.listed.clear()
    member.looks(300)
    assert len(member.chosen) == 1


def test_a_directory_is_chosen_before_what_is_in_it(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    (member.brick / "shop/twice/inner").mkdir()
    member.link(INNER, f"../../{brick.below(TWICE)}/inner")
    member.listed, member.accused = {INNER, TWICE}, {INNER, TWICE}
    member.refused.add("shop/twice/inner")

    def choose(_: str, name: str, path: str) -> None:
        member.chosen.append((name, path))
        member.refused.clear()

    monkeypatch.setattr(gluster, "choose", choose)
    member.looks(70)
    assert [path for _, path in member.chosen] == ["/shop/twice"]


def test_what_is_healed_meanwhile_is_left_alone(member: Member) -> None:
    member.refused.clear()
    member.looks(600)
    assert member.chosen == []


def test_who_does_not_know_that_another_brick_lacks_it_chooses_nothing(member: Member) -> None:
    member.accused = {SHOP}
    member.looks(600)
    assert member.chosen == []


def test_nothing_is_chosen_while_a_member_is_away(member: Member) -> None:
    member.reached.remove(3)
    member.looks(600)
    assert (member.asked, member.chosen) == ([], [])
    member.reached.add(3)
    member.looks(60)
    assert len(member.chosen) == 1


def test_the_root_is_never_chosen(member: Member) -> None:
    member.listed, member.accused, member.refused = {ROOT}, {ROOT}, {"."}
    member.looks(600)
    assert (member.asked, member.chosen) == ([], [])


def test_what_cannot_be_chosen_yet_is_tried_again(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str, brick: str, path: str) -> None:
        raise NodeError(f"The copy of {path} on {brick} cannot be chosen: All the bricks should be up.")

    with monkeypatch.context() as patched:
        patched.setattr(gluster, "choose", refuse)
        with pytest.raises(NodeError, match=r"The copy of /shop/twice on 10\.77\.0\.11:/brick/brick-1 cannot be"):
            member.looks(70)
    member.looks(60)
    assert len(member.chosen) == 1


def test_a_dispersed_volume_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    member = Member(monkeypatch, tmp_path, "dispersed")
    member.looks(600)
    assert (member.asked, member.chosen) == ([], [])


class Refusing:
    """What a pool's volume refuses, and which copy of it its members choose."""

    def __init__(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pool, self.refused, self.chosen = pool, {"shop/data"}, list[tuple[str, str]]()
        monkeypatch.setattr(system, "run", self.stat)
        monkeypatch.setattr(gluster, "choose", lambda _, name, path: self.chosen.append((name, path)))

    def stat(self, line: Sequence[str], **_: object) -> system.Result:
        refused = any(line[-1].endswith(f"/{name}") for name in self.refused)
        return system.Result(1, "", f"stat: cannot statx '{line[-1]}': Input/output error\n") if refused else _DONE

    def settle(self, *names: str) -> None:
        twice.settle(self.pool.paths("storage-2"), names)


_DONE = system.Result(0, "\n", "")


@pytest.fixture
def refusing(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """Three members with the same brick, which all give, and a volume that refuses a directory."""
    for name in ("storage-1", "storage-2", "storage-3"):
        make(pool.brick(name))
        pool.listen(name)
    return Refusing(pool, monkeypatch)


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        ({"storage-1": b"x" * 16}, "storage-2"),
        ({"storage-2": b"x" * 16}, "storage-1"),
        ({"storage-1": b"x" * 16, "storage-2": b"x" * 16}, "storage-1"),
        ({"storage-1": None, "storage-3": b"x" * 16}, "storage-2"),
    ],
)
def test_what_nobody_has_noted_is_taken_from_most(
    refusing: Refusing, other: dict[str, bytes | None], kept: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, identity in other.items():
        place = refusing.pool.brick(name) / "shop/data"
        if identity is None:
            shutil.rmtree(place)
        else:
            os.setxattr(place, "trusted.gfid", identity)
    refusing.settle("shop/config", "shop/data")
    number = kept[-1]
    assert refusing.chosen == [(f"127.77.0.{number}:/brick/brick-{number}", "/shop/data")]
    assert f"/shop/data had been made twice; what {kept}'s brick has is kept." in capfd.readouterr().err


def test_what_is_refused_for_another_reason_is_left_alone(refusing: Refusing) -> None:
    refusing.refused.add("shop/gone")
    refusing.settle("shop/data", "shop/gone")
    assert refusing.chosen == []


def test_without_word_of_every_member_nothing_is_chosen(refusing: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    os.setxattr(refusing.pool.brick("storage-3") / "shop/data", "trusted.gfid", b"x" * 16)
    monkeypatch.setattr(wire, "DONOR_PORT", refusing.pool.port - 1)
    with pytest.raises(ConnectionRefusedError):
        refusing.settle("shop/data")
    assert refusing.chosen == []


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=3, max_size=7))
def test_every_member_chooses_the_same_copy(ids: list[str | None]) -> None:
    kept = twice.kept_of({f"storage-{number}": identity for number, identity in enumerate(ids)})
    counts = Counter(identity for identity in ids if identity)
    if len(counts) < 2:
        assert kept is None
        return
    chosen = ids[int(str(kept)[-1])]
    assert counts[chosen or ""] == max(counts.values())
    # Nothing of which most have one copy is lost.
    assert not any(count > len(ids) // 2 and identity != chosen for identity, count in counts.items())
