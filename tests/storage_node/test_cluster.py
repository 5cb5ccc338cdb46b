"""The parts of a cluster's member that need no cluster: what is asked for, what is written, what is decided."""

from __future__ import annotations

import ipaddress
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage_node import firewall, spec, system
from storage_node.cluster import brick, ganesha, gluster, glusterd, health, membership, options, volume
from storage_node.cluster.gluster import Brick, Heal, Peer, Running, Volume
from storage_node.cluster.membership import Cluster
from storage_node.errors import NodeError
from storage_node.exports import Export
from storage_node.paths import Paths
from tests.storage_node import nodes
from tests.storage_node.nodes import UUIDS, cluster, cluster_spec

pytestmark = pytest.mark.cluster

SECRETS = {"privateKey": "key", "certificate": "certificate", "authority": "authority", "secret": "s" * 32}


def test_a_cluster_survives_being_written_down_and_read_again() -> None:
    assert membership.parse(cluster().values()) == cluster()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layout": "striped"}, "cluster.layout is 'striped'; it has to be replicated or dispersed."),
        ({"members": cluster_spec(2)["members"]}, "cluster.members has 2 entries; a cluster has 3, 5 or 7."),
        (
            {"members": cluster_spec(3)["members"][:2] + cluster_spec(3)["members"][:1]},
            "two of them have the same name",
        ),
        ({"floatingAddress": "somewhere"}, "cluster.floatingAddress is 'somewhere'"),
    ],
)
def test_what_no_cluster_can_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NodeError, match=words.replace(".", r"\.")):
        cluster(**changes)


def test_a_member_needs_its_credentials_and_no_message_shows_them() -> None:
    found = nodes.configure_spec(topology="cluster", name="storage-2", cluster={**cluster_spec(), **SECRETS})
    assert found.credentials is not None
    assert "s" * 32 not in repr(found)
    for missing in SECRETS:
        with pytest.raises(NodeError, match=f"cluster.{missing} in the specification is missing"):
            nodes.configure_spec(
                topology="cluster", name="storage-2", cluster={**cluster_spec(), **SECRETS, missing: ""}
            )
    with pytest.raises(NodeError, match="do not name this node, storage-9"):
        nodes.configure_spec(topology="cluster", name="storage-9", cluster={**cluster_spec(), **SECRETS})


def test_only_members_reach_the_ports_of_the_cluster() -> None:
    text = firewall.ruleset((), (), "storage-2", cluster())
    assert "elements = { 10.77.0.11/32, 10.77.0.12/31 }" in text
    assert "tcp dport { 24007, 49152-49251 } ip saddr @members_v4 accept" in text
    assert "tcp dport { 24007, 49152-49251 } drop" in text
    assert "udp dport { 24010 } ip saddr @keepers_v4 accept" in text
    assert "24007" not in firewall.ruleset((), (), "storage-1", None)


def test_a_member_talks_to_the_others_from_its_own_address_alone() -> None:
    text = firewall.ruleset((), (), "storage-2", cluster())
    assert "ip daddr @members_v4 ip saddr != 10.77.0.12 snat ip to 10.77.0.12" in text
    assert "snat" not in firewall.ruleset((), (), "storage-2", None)


def export(name: str, uid: int, writers: list[str], readers: list[str] | None = None) -> Export:
    blocks = [tuple(ipaddress.ip_network(each) for each in found) for found in (writers, readers or [])]
    return Export(f"/data/{name}", uid, *blocks)


def test_each_environment_is_an_export_of_its_own_squashed_to_its_own_user() -> None:
    text = ganesha.render([export("shop", 200004, ["10.1.0.0/16"], ["10.2.0.3"]), export("idle", 200005, [])])
    assert text.count("EXPORT {") == 1
    assert "Export_Id = 5;" in text
    assert "Anonymous_Uid = 200004;" in text
    assert 'Volpath = "/shop";' in text
    # The first block that fits decides, so the single reader stands before the range.
    assert text.index("Clients = 10.2.0.3/32; Protocols = 4; Access_Type = RO;") < text.index("Clients = 10.1.0.0/16;")
    assert "Squash = All_Squash;" in text
    assert "Access_Type = None;" in text


def test_a_user_number_beyond_what_ganesha_can_export_is_refused() -> None:
    assert ganesha.export_id(200000) == 1
    with pytest.raises(NodeError, match="can ever have had 65535 environments"):
        ganesha.export_id(200000 + 0xFFFF)


def test_a_brick_has_another_name_on_each_fresh_disk_and_keeps_it(tmp_path: Path) -> None:
    names = set()
    for disk in ("one", "two"):
        paths = Paths(tmp_path / disk)
        paths.at(paths.brick_mount).mkdir(parents=True)
        names.add(brick.ensure(paths))
        assert brick.ensure(paths) in names
    assert len(names) == 2


def test_glusterd_knows_all_members_and_tls_before_it_starts(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    credentials = membership.credentials(SECRETS)
    assert glusterd.configure(paths, "storage-2", cluster(), credentials)
    assert not glusterd.configure(paths, "storage-2", cluster(), credentials)
    home = paths.at("/var/lib/glusterd")
    assert (home / "glusterd.info").read_text().startswith(f"UUID={UUIDS[1]}\n")
    assert sorted(path.name for path in (home / "peers").iterdir()) == [UUIDS[0], UUIDS[2]]
    assert (home / "secure-access").exists()
    assert paths.at("/etc/ssl/glusterfs.key").stat().st_mode & 0o777 == 0o600
    assert glusterd.configure(paths, "storage-2", cluster(5), credentials)


def test_a_node_of_another_cluster_is_left_alone(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    home = paths.at("/var/lib/glusterd")
    (home / "vols" / "precious").mkdir(parents=True)
    (home / "vols" / "precious" / "info").touch()
    (home / "glusterd.info").write_text(f"UUID={UUIDS[6]}\noperating-version=110000\n")
    with pytest.raises(NodeError, match="already a member of another GlusterFS cluster"):
        glusterd.configure(paths, "storage-1", cluster(), membership.credentials(SECRETS))
    assert UUIDS[6] in (home / "glusterd.info").read_text()


class Glusterd:
    """Stands in for the gluster command: a volume, and what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, present: Volume | None, count: int = 3) -> None:
        self.present, self.changes, self.asked = present, list[tuple[str, ...]](), 0
        self.healers = {UUIDS[i]: True for i in range(count)}
        self.heals = [Heal(f"10.77.0.{11 + i}:/brick/brick-{i}", 0, 0) for i in range(count)]

        def peers(of: str | None = None) -> list[Peer]:
            viewer = of or "10.77.0.11"
            return [Peer(UUIDS[i], gluster.IN_CLUSTER, True) for i in range(count) if viewer != f"10.77.0.{11 + i}"]

        answers: dict[str, Callable[..., object]] = {
            "peers": peers,
            "volume": self.volume,
            "change": lambda *words: self.changes.append(words),
            "heals": lambda _: self.heals,
            "listed": lambda _: max(heal.pending or 0 for heal in self.heals),
            "running": lambda _: Running({brick.name: True for brick in bricks(count)}, self.healers),
        }
        for name, answer in answers.items():
            monkeypatch.setattr(gluster, name, answer)
        monkeypatch.setattr("time.sleep", lambda _: None)

    def volume(self, _: str) -> Volume | None:
        self.asked += 1
        return self.present

    def said(self, verb: str) -> tuple[str, ...] | None:
        return next((words for words in self.changes if words[1] == verb), None)


def bricks(count: int) -> list[Brick]:
    return [Brick(UUIDS[i], f"10.77.0.{11 + i}", f"/brick/brick-{i}") for i in range(count)]


def there(count: int, layout: str = "replicated", **paths: str) -> Volume:
    found = [Brick(b.member, b.address, paths.get(f"b{i}", b.path)) for i, b in enumerate(bricks(count))]
    return Volume(True, layout, 0, tuple(found), {})


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
    done = volume.apply(cluster(count, layout=layout), directories(count))
    made = stand_in.said("create")
    assert made is not None
    assert made[3:] == (*shape, *(b.name for b in bricks(count)))
    assert done["created"] is True
    # A brick that runs before its options are set would let a stranger in.
    assert [words[1] for words in stand_in.changes] == ["create", "set", "start"]


def test_a_volume_that_is_right_is_left_alone_but_for_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3))
    done = volume.apply(cluster(), directories(3))
    assert [words[1] for words in stand_in.changes] == ["set"]
    assert (done["created"], done["added"], done["replaced"]) == (False, [], [])
    assert stand_in.asked == 1


def test_a_volume_that_an_interrupted_step_left_unstarted_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, replace(there(3), started=False, options=options.wanted(cluster())))
    volume.apply(cluster(), directories(3))
    assert stand_in.changes == [("volume", "start", "data")]


def test_the_status_names_what_is_not_as_it_has_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = options.wanted(cluster(floatingAddress=None))
    stand_in = Glusterd(monkeypatch, replace(there(3), options={**wanted, "server.ssl": "off"}))
    # One is down; the node of another is away, and then nobody tells of its own.
    stand_in.healers = {UUIDS[0]: True, UUIDS[1]: False}
    problems: list[str] = []
    health.collect(Paths(tmp_path), "storage-1", cluster(floatingAddress=None), problems)
    assert problems == [
        "The self-heal daemon of storage-2 does not run.",
        "The volume's option server.ssl is off, not on.",
    ]
    assert stand_in.asked == 1
    for present, words in ((None, "not made"), (replace(there(3), started=False), "not started")):
        stand_in.present, problems = present, []
        found = health.collect(Paths(tmp_path), "storage-1", cluster(floatingAddress=None), problems)
        assert problems == [f"The volume data is {words}; run `pulumi up`."]
        assert found["quorum"] is False


def test_the_status_of_a_node_that_is_cut_off_tells_what_it_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(_: str) -> None:
        raise NodeError("glfsheal: Transport endpoint is not connected")

    Glusterd(monkeypatch, replace(there(3), options=options.wanted(cluster())))
    monkeypatch.setattr(gluster, "heals", fails)
    monkeypatch.setattr(gluster, "running", lambda _: Running({"10.77.0.11:/brick/brick-0": True}))
    problems: list[str] = []
    found = health.collect(Paths(tmp_path), "storage-1", cluster(), problems)
    assert [entry["online"] for entry in found["bricks"]] == [True, False, False]
    assert (found["quorum"], found["pendingHeals"]) == (False, None)
    assert found["floatingAddress"] == {"address": "10.77.0.10", "holder": None}
    assert any(problem.startswith("What is left to be healed cannot be told: glfsheal") for problem in problems)


def test_a_fresh_disk_in_a_lost_one_s_place_is_filled_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3, b0="/brick/brick-lost"))
    volume.apply(cluster(), directories(3))
    words = stand_in.said("replace-brick")
    assert words is not None
    assert words[3:] == ("10.77.0.11:/brick/brick-lost", "10.77.0.11:/brick/brick-0", "commit", "force")


def test_no_brick_is_replaced_while_another_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3, b0="/brick/brick-lost"))
    stand_in.heals[2] = Heal("10.77.0.13:/brick/brick-2", None, 0)
    with pytest.raises(NodeError, match="storage-1 has a blank disk, and the brick of storage-3 is away"):
        volume.apply(cluster(), directories(3))
    assert stand_in.said("replace-brick") is None


def test_two_blank_disks_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3, b0="/brick/a", b1="/brick/b"))
    with pytest.raises(NodeError, match="storage-1, storage-2 have blank disks at once"):
        volume.apply(cluster(), directories(3))
    assert stand_in.said("replace-brick") is None


def test_growth_adds_the_new_members_bricks_as_further_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    volume.apply(cluster(5), directories(5))
    words = stand_in.said("add-brick")
    assert words is not None
    assert words[3:] == ("replica", "5", "10.77.0.14:/brick/brick-3", "10.77.0.15:/brick/brick-4")


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
        volume.apply(wanted, directories(5))
    assert stand_in.changes == []


def test_healing_is_over_when_no_brick_is_away_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    seen = iter([[Heal("a", 7, 0), Heal("b", None, 0)], [Heal("a", 7, 0), Heal("b", 0, 0)]])
    clean = [Heal("a", 0, 0), Heal("b", 0, 0)]
    assert volume.await_healed(lambda: next(seen, clean), lambda: 0) == 7


def test_many_entries_are_counted_and_only_the_last_few_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    counts, looked = iter([400, 21, 20]), list[bool]()

    def heals() -> list[Heal]:
        looked.append(True)
        return [Heal("a", 3 if len(looked) == 1 else 0, 0)]

    assert volume.await_healed(heals, lambda: next(counts, 0)) == 400
    assert len(looked) == 3


def test_the_entries_that_bricks_list_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "Gathering count of entries to be healed on volume data has been successful \n\n"
        "Brick 10.77.0.11:/brick/brick-0\nNumber of entries: 13\n\n"
        "Brick 10.77.0.12:/brick/brick-1\nNumber of entries: 12\n\n"
        "Brick 10.77.0.13:/brick/brick-2\nNo gathered input for this brick\n"
    )
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(0, said, ""))
    assert gluster.listed("data") == 13
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(1, "", "Connection failed."))
    assert gluster.listed("data") == 0


def test_copies_that_contradict_each_other_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NodeError, match="2 entries of the volume contradict each other"):
        volume.await_healed(lambda: [Heal("a", 2, 2)], lambda: 0)


def _answers(monkeypatch: pytest.MonkeyPatch, *refusals: str) -> list[int]:
    """glusterd refuses with these reasons, one after the other, and then does what it is told; counts the attempts."""
    asked = [0]

    def run(*_: object, **__: object) -> system.Result:
        asked[0] += 1
        if asked[0] > len(refusals):
            return system.Result(0, "<cliOutput><opRet>0</opRet></cliOutput>", "")
        reason = refusals[asked[0] - 1]
        return system.Result(1, f"<cliOutput><opRet>-1</opRet><opErrstr>{reason}</opErrstr></cliOutput>", "")

    monkeypatch.setattr(system, "run", run)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return asked


def test_a_cluster_that_is_at_other_work_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = "Another transaction is in progress for data. Please try again after some time."
    asked = _answers(monkeypatch, busy, busy)
    gluster.change("volume", "create", "data", "replica", "3")
    assert asked == [3]


def test_a_refusal_that_stays_is_told_in_glusterds_words(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answers(monkeypatch, "Brick may be containing or be contained by an existing brick.")
    with pytest.raises(gluster.RefusedError, match="`gluster volume create data` was refused: Brick may be containing"):
        gluster.change("volume", "create", "data", "replica", "3")
    assert asked == [1]
    _answers(monkeypatch, *["Locking failed on 10.77.0.12. Please check log file for details."] * 2)
    monkeypatch.setattr(gluster, "BUSY_SECONDS", -1.0)
    with pytest.raises(gluster.RefusedError, match=r"Locking failed on 10\.77\.0\.12"):
        gluster.change("volume", "create", "data", "replica", "3")


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
    volume.apply(cluster(), directories(3))
    assert (asked.count("10.77.0.12"), asked.count("10.77.0.13")) == (3, 1)
    assert stand_in.changes[0][:2] == ("volume", "create")
    asked.clear()
    stand_in.changes.clear()
    monkeypatch.setattr(volume, "PEERS_SECONDS", -1.0)
    with pytest.raises(NodeError, match=r"not all in the pool of storage-2: storage-3 \(10\.77\.0\.13\) is Peer in"):
        volume.apply(cluster(), directories(3))


def test_the_marks_of_an_interrupted_attempt_do_not_keep_the_volume_from_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in = Glusterd(monkeypatch, None)

    def change(*words: str) -> None:
        if words[:2] == ("volume", "create") and words[-1] != "force":
            raise gluster.RefusedError("/brick/brick-0 is already part of a volume.")
        stand_in.changes.append(words)

    monkeypatch.setattr(gluster, "change", change)
    volume.apply(cluster(), directories(3))
    assert stand_in.changes[0][:2] == ("volume", "create")


def test_a_specification_of_the_volume_names_every_brick() -> None:
    with pytest.raises(NodeError, match="does not name the directories of storage-2, storage-3"):
        spec.volume({"program": "0" * 64, "cluster": cluster_spec(), "bricks": {"storage-1": "/brick/brick-0"}})


def test_a_server_that_lacks_exports_is_asked_for_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    text = ganesha.render([export("shop", 200004, ["10.1.0.0/16"])])
    for file, content in ((paths.ganesha, text), (paths.ganesha_loaded, ganesha._digest(text))):
        file.parent.mkdir(parents=True)
        file.write_text(content)
    paths.at("/run/ganesha/pid").write_text(str(os.getpid()))
    now, hangups = [0.0], [0.0]
    hangups.clear()

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def exported() -> set[str] | None:
        # It does not answer for 30 s, and cannot reach the volume for another 20 s.
        if now[0] < 30:
            return None
        return {"/data/shop"} if hangups and hangups[-1] > 50 else set()

    def kill(pid: int, number: int) -> None:
        assert pid == os.getpid()
        if number == signal.SIGHUP:
            hangups.append(now[0])

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("os.kill", kill)
    monkeypatch.setattr(ganesha, "_exported", exported)
    ganesha.settle(paths)
    assert 2 <= len(hangups) <= 4
    assert hangups[0] >= 30
    hangups.clear()
    monkeypatch.setattr(ganesha, "_exported", set[str])
    with pytest.raises(NodeError, match="does not export /data/shop"):
        ganesha.settle(paths)
