"""The volume over the members: made, grown, healed, and left alone where it is right."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, ItemsView
from dataclasses import replace
from pathlib import Path

import pytest

from storage_node import spec, system
from storage_node.cluster import fresh, gluster, glusterd, options, volume
from storage_node.cluster.gluster import Heal, Peer, Volume
from storage_node.cluster.membership import Cluster
from storage_node.errors import AwayError, NodeError
from storage_node.paths import Paths
from tests.storage_node.nodes import UUIDS, cluster, cluster_spec
from tests.storage_node.volumes import Glusterd, bricks, there

pytestmark = pytest.mark.cluster

#: A node without a brick of its own.
NODE = Paths(Path("/nonexistent"))


def directories(count: int) -> dict[str, str]:
    return {f"storage-{i + 1}": f"/brick/brick-{i}" for i in range(count)}


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


def test_growth_adds_the_new_members_bricks_as_further_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    volume.apply(NODE, cluster(5), directories(5))
    words = stand_in.said("add-brick")
    assert words is not None
    assert words[3:] == ("replica", "5", "10.77.0.14:/brick/brick-3", "10.77.0.15:/brick/brick-4")
    # Which bricks come is known from before until they are there.
    assert [words[1] for words in stand_in.changes] == ["set", "add-brick", "set"]
    assert fresh.note(bricks(5)[3:]).items() <= set_by(stand_in.changes[0])
    assert set_by(stand_in.changes[2]) == {"user.storage-node-fresh": "none", "cluster.self-heal-daemon": "on"}.items()


def test_nothing_is_healed_until_every_client_knows_the_bricks_that_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    current = stand_in.clients
    old = {brick.name: current[brick.name] + Counter({"10.77.0.12": 1}) for brick in bricks(3)}
    without = {name: clients for name, clients in current.items() if name != bricks(5)[4].name}
    seen = iter([without, current | old, current])

    def clients(_: str) -> dict[str, Counter[str]]:
        # Held back from before the bricks came.
        assert ("cluster.self-heal-daemon", "off") in set_by(stand_in.changes[0])
        assert stand_in.changes[-1][1] == "add-brick"
        return next(seen)

    monkeypatch.setattr(gluster, "clients", clients)
    volume.apply(NODE, cluster(5), directories(5))
    assert ("cluster.self-heal-daemon", "on") in set_by(stand_in.changes[-1])
    assert capsys.readouterr().err.splitlines()[:2] == [
        "The brick 10.77.0.15:/brick/brick-4 does not say yet who its clients are",
        "The clients on 10.77.0.12 do not all know the whole volume yet: 3 are connected to 10.77.0.11:/brick/brick-0, "
        "and 2 to 10.77.0.14:/brick/brick-3",
    ]
    stand_in.present = there(3)
    stand_in.changes.clear()
    stuck = current | old
    monkeypatch.setattr(gluster, "clients", lambda _: stuck)
    monkeypatch.setattr(volume, "KNOWN_SECONDS", -1.0)
    with pytest.raises(
        NodeError, match=r"on 10\.77\.0\.12 do not all know .*; run `pulumi up` again, until then nothing"
    ):
        volume.apply(NODE, cluster(5), directories(5))
    assert stand_in.changes[-1][1] == "add-brick"


def test_what_a_member_missed_of_the_options_is_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was away for the moment in which the change began, and back before its end."""
    wanted = options.wanted(cluster(5)) | fresh.note([])
    grown = replace(there(5), options=wanted)
    stand_in = Glusterd(monkeypatch, grown, 5)
    stand_in.views["10.77.0.14"] = replace(grown, options=wanted | {"auth.ssl-allow": "storage-1"})
    volume.apply(NODE, cluster(5), directories(5))
    assert stand_in.changes == [("volume", "set", "data", "auth.ssl-allow", wanted["auth.ssl-allow"])]


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


def test_healing_does_not_begin_before_all_members_have_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    failing = Failing(monkeypatch, stand_in, there(5), "")
    missed = replace(there(5), options={})

    def known(_: str, of: str | None = None) -> Volume | None:
        # The fifth misses what is set first.
        return missed if of == "10.77.0.15" and len(stand_in.changes) == 2 else stand_in.present

    monkeypatch.setattr(gluster, "volume", known)
    volume.apply(NODE, cluster(5), directories(5))
    verbs = [words[1] for words in stand_in.changes]
    assert verbs == ["set", "add-brick", "set", "set", "set"]
    assert set_by(stand_in.changes[0]) <= set_by(stand_in.changes[2])
    assert failing.told == [[brick.name for brick in bricks(5)[3:]]]


def set_by(words: tuple[str, ...]) -> ItemsView[str, str]:
    """The options that a `volume set` sets."""
    assert words[:3] == ("volume", "set", "data")
    return dict(zip(words[3::2], words[4::2], strict=True)).items()


class Failing:
    """glusterd that takes a change up, and fails at its end on the member that is named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stand_in: Glusterd, after: Volume, where: str) -> None:
        self.stand_in, self.after, self.where = stand_in, after, where
        self.told: list[list[str]] = []
        self.restarts = 0
        monkeypatch.setattr(gluster, "change", self.change)
        monkeypatch.setattr(glusterd, "restart", self.restart)
        monkeypatch.setattr(fresh, "tell", lambda _, fresh: self.told.append([brick.name for brick in fresh]))

    def restart(self) -> None:
        self.restarts += 1

    def change(self, *words: str) -> None:
        self.stand_in.change(*words)
        present = self.stand_in.present
        assert present is not None
        if words[1] in {"add-brick", "replace-brick"}:
            where, self.where = self.where, ""
            self.stand_in.present = replace(self.after, options=present.options)
            if where:
                raise gluster.RefusedError(
                    f"`gluster volume {words[1]}` was refused: Commit failed on {where}. Please …"
                )


def test_bricks_whose_coming_failed_on_their_member_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    failing = Failing(monkeypatch, stand_in, there(5), "10.77.0.15")
    volume.apply(NODE, cluster(5), directories(5))
    # The members that took the change up have it: it is not said again, and its description is made anew before.
    assert [words[1] for words in stand_in.changes] == ["set", "add-brick", "set", "set", "set"]
    assert fresh.note(bricks(5)[3:]).items() <= set_by(stand_in.changes[2])
    assert stand_in.changes[3] == ("volume", "set", "data", "auth.allow", "*")
    assert failing.told == [["10.77.0.14:/brick/brick-3", "10.77.0.15:/brick/brick-4"]]
    assert fresh.note([]).items() == set_by(stand_in.changes[4])
    assert failing.restarts == 0
    volume.apply(NODE, cluster(5), directories(5))
    assert len(failing.told) == 1


def test_a_change_that_failed_on_this_very_node_is_forgotten_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = there(3, b0="/brick/brick-lost")
    stand_in = Glusterd(monkeypatch, before)
    failing = Failing(monkeypatch, stand_in, before, "localhost")
    volume.apply(NODE, cluster(), directories(3))
    assert failing.restarts == 1
    assert [words[1] for words in stand_in.changes].count("replace-brick") == 2
    # The brick was never in the volume before the change that succeeded, which told of it itself.
    assert failing.told == []


def test_the_volume_s_clients_are_known_by_their_bricks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = tmp_path / "var/lib/glusterd/vols/data/trusted-data.tcp-fuse.vol"
    described.parent.mkdir(parents=True)
    described.write_text(
        "volume data-client-0\n    type protocol/client\n    option remote-subvolume /brick/brick-0\n"
        "    option remote-host 10.77.0.11\n    option ping-timeout 20\nend-volume\n\n"
        "volume data-client-5\n    type protocol/client\n    option remote-subvolume /brick/brick-1\n"
        "    option remote-host 10.77.0.12\nend-volume\n\n"
        "volume data-replicate-0\n    type cluster/replicate\n    option use-compound-fops off\n"
        "    subvolumes data-client-0 data-client-5\nend-volume\n"
    )
    attempts: list[tuple[object, str, bytes]] = []

    def setxattr(path: Path, attribute: str, value: bytes) -> None:
        attempts.append((path, attribute, value))
        if len(attempts) == 1:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    lines: list[list[str]] = []
    monkeypatch.setattr(system, "must", lambda line, _: lines.append(line))
    monkeypatch.setattr(system, "run", lines.append)
    monkeypatch.setattr("os.setxattr", setxattr)
    monkeypatch.setattr("time.sleep", lambda _: None)
    fresh.tell(Paths(tmp_path), bricks(2)[1:])
    # Told once the volume took it.
    assert attempts == [(tmp_path / "run/storage-node-fresh", "trusted.replace-brick", b"data-client-5")] * 2
    # What an attempt that was killed left there goes first.
    assert [line[0] for line in lines] == ["umount", "glusterfs", "umount"]
    with pytest.raises(AwayError, match=r"does not have the brick 10\.77\.0\.13:/brick/brick-2 yet"):
        fresh.tell(Paths(tmp_path), bricks(3)[2:])


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
