"""The volume over the members: made, grown, healed, and left alone where it is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from storage_node import spec
from storage_node.cluster import fresh, gluster, options, volume
from storage_node.cluster.gluster import Heal, Peer, Volume
from storage_node.cluster.membership import Cluster
from storage_node.errors import AwayError, NodeError
from tests.storage_node.nodes import UUIDS, cluster, cluster_spec
from tests.storage_node.volumes import NODE, Glusterd, bricks, directories, there

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("count", "layout", "shape"),
    [(3, "replicated", ("replica", "3")), (5, "dispersed", ("disperse", "5", "redundancy", "2"))],
)
def test_a_volume_is_made_over_all_members(
    monkeypatch: pytest.MonkeyPatch, count: int, layout: str, shape: tuple[str, ...]
) -> None:
    stand_in = Glusterd(monkeypatch, None, count)
    done = volume.apply(NODE, cluster(count, layout=layout), directories(count))
    made = stand_in.said("create")
    assert made is not None
    assert made[3:] == (*shape, *(b.name for b in bricks(count)))
    assert done["created"] is True
    # A brick that runs before its options are set would let a stranger in.
    assert [words[1] for words in stand_in.changes] == ["create", "set", "start"]


def test_a_volume_that_is_right_is_left_alone_but_for_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3))
    done = volume.apply(NODE, cluster(), directories(3))
    assert [words[1] for words in stand_in.changes] == ["set"]
    assert (done["created"], done["added"], done["replaced"]) == (False, [], [])
    assert stand_in.asked == 1


def test_a_volume_that_an_interrupted_step_left_unstarted_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, replace(there(3), started=False, options=options.wanted(cluster())))
    volume.apply(NODE, cluster(), directories(3))
    assert stand_in.changes == [("volume", "start", "data")]


def test_a_fresh_disk_in_a_lost_one_s_place_is_filled_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3, b0="/brick/brick-lost"))
    volume.apply(NODE, cluster(), directories(3))
    words = stand_in.said("replace-brick")
    assert words is not None
    assert words[3:] == ("10.77.0.11:/brick/brick-lost", "10.77.0.11:/brick/brick-0", "commit", "force")


def test_no_brick_is_replaced_while_another_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3, b0="/brick/brick-lost"))
    stand_in.heals[2] = Heal("10.77.0.13:/brick/brick-2", None, 0)
    with pytest.raises(NodeError, match="storage-1 has a blank disk, and the brick of storage-3 is away"):
        volume.apply(NODE, cluster(), directories(3))
    assert stand_in.said("replace-brick") is None


def test_two_blank_disks_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3, b0="/brick/a", b1="/brick/b"))
    with pytest.raises(NodeError, match="storage-1, storage-2 have blank disks at once"):
        volume.apply(NODE, cluster(), directories(3))
    assert stand_in.said("replace-brick") is None


def test_what_a_member_missed_of_the_options_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was away for the moment in which the change began, and back before its end."""
    wanted = options.wanted(cluster(5)) | fresh.note([])
    grown = replace(there(5), options=wanted)
    stand_in = Glusterd(monkeypatch, grown, 5)
    stand_in.views["10.77.0.14"] = replace(grown, options=wanted | {"auth.ssl-allow": "storage-1"})
    volume.apply(NODE, cluster(5), directories(5))
    assert stand_in.changes == [("volume", "set", "data", "auth.ssl-allow", wanted["auth.ssl-allow"])]


def test_what_an_earlier_version_had_set_goes_back_to_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    former, wanted = {"cluster.optimistic-change-log": "off"}, options.wanted(cluster()) | fresh.note([])
    stand_in = Glusterd(monkeypatch, replace(there(3), options=wanted | former))
    volume.apply(NODE, cluster(), directories(3))
    assert stand_in.changes == [("volume", "set", "data", "cluster.optimistic-change-log", "on")]
    # One that never had it is not told its default.
    stand_in = Glusterd(monkeypatch, replace(there(3), options=wanted))
    volume.apply(NODE, cluster(), directories(3))
    assert stand_in.changes == []


@pytest.mark.parametrize("knows", [None, there(3)])
def test_a_member_that_missed_a_change_of_the_bricks_is_named(
    monkeypatch: pytest.MonkeyPatch, knows: Volume | None
) -> None:
    stand_in = Glusterd(monkeypatch, there(5), 5)
    stand_in.views["10.77.0.14"] = knows

    def steadily(work: Callable[[], object]) -> object:
        return work()

    monkeypatch.setattr(volume, "steadily", steadily)
    with pytest.raises(AwayError, match="storage-4 does not know the volume as this node does; if that stays so, `sys"):
        volume.apply(NODE, cluster(5), directories(5))
    assert stand_in.changes == []


@pytest.mark.parametrize(
    ("present", "wanted", "words"),
    [
        (there(3, "dispersed"), cluster(3), "The volume on these nodes is dispersed, and replicated is asked for"),
        (there(5), cluster(3), "has bricks on nodes that the stack no longer names"),
        (there(3, "dispersed"), cluster(5, layout="dispersed"), "their number does not change in place"),
    ],
)
def test_what_cannot_change_in_place_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, present: Volume, wanted: Cluster, words: str
) -> None:
    stand_in = Glusterd(monkeypatch, present, len(wanted.members))
    with pytest.raises(NodeError, match=words):
        volume.apply(NODE, wanted, directories(5))
    assert stand_in.changes == []


def test_no_volume_is_made_before_every_member_has_every_other(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, None)
    apart, asked = Peer(UUIDS[2], gluster.IN_CLUSTER, False), list[str | None]()

    def peers(of: str | None = None) -> list[Peer]:
        asked.append(of)
        if of is None:
            return [Peer(UUIDS[1], gluster.IN_CLUSTER, True), Peer(UUIDS[2], gluster.IN_CLUSTER, True)]
        assert stand_in.changes == []
        if of == "10.77.0.12":
            third = apart if asked.count(of) < 3 else replace(apart, connected=True)
            return [Peer(UUIDS[0], gluster.IN_CLUSTER, True), third]
        return [Peer(UUIDS[0], gluster.IN_CLUSTER, True), Peer(UUIDS[1], gluster.IN_CLUSTER, True)]

    monkeypatch.setattr(gluster, "peers", peers)
    volume.apply(NODE, cluster(), directories(3))
    assert (asked.count("10.77.0.12"), asked.count("10.77.0.13")) == (3, 1)
    assert stand_in.changes[0][:2] == ("volume", "create")
    asked.clear()
    stand_in.changes.clear()
    monkeypatch.setattr(volume, "PEERS_SECONDS", -1.0)
    with pytest.raises(NodeError, match=r"not all in the pool of storage-2: storage-3 \(10\.77\.0\.13\) is Peer in"):
        volume.apply(NODE, cluster(), directories(3))


def test_the_marks_of_an_interrupted_attempt_do_not_keep_the_volume_from_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in = Glusterd(monkeypatch, None)

    def change(*words: str) -> None:
        if words[:2] == ("volume", "create") and words[-1] != "force":
            raise gluster.RefusedError("/brick/brick-0 is already part of a volume.")
        stand_in.changes.append(words)

    monkeypatch.setattr(gluster, "change", change)
    volume.apply(NODE, cluster(), directories(3))
    assert stand_in.changes[0][:2] == ("volume", "create")


def test_what_a_member_never_answered_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """glusterd gives up after two minutes, and the others cannot tell whether it was done."""
    stand_in = Glusterd(monkeypatch, None)
    unanswered = ["create", "set", "start"]

    def change(*words: str) -> None:
        stand_in.changes.append(words)
        if words[1] == "create":
            stand_in.present = replace(there(3), started=False)
        if words[1] in unanswered:
            unanswered.remove(words[1])
            raise AwayError("`gluster volume` gave no answer: Error : Request timed out.")

    monkeypatch.setattr(gluster, "change", change)
    volume.apply(NODE, cluster(), directories(3))
    assert [words[1] for words in stand_in.changes] == ["create", "set", "set", "start", "set", "start"]


def test_a_specification_of_the_volume_names_every_brick() -> None:
    with pytest.raises(NodeError, match="does not name the directories of storage-2, storage-3"):
        spec.volume({"program": "0" * 64, "cluster": cluster_spec(), "bricks": {"storage-1": "/brick/brick-0"}})
