"""The cluster as one of its members sees it, and what it finds wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from storage_node import status
from storage_node.cluster import fresh, gluster, healer, health, options, peers, watch
from storage_node.cluster.gluster import Peer, Running
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.storage_node.nodes import UUIDS, cluster
from tests.storage_node.volumes import Glusterd, there

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What this node is connected to, as ss(8) prints it: nothing, where a test says nothing else."""
    found: list[str] = []
    monkeypatch.setattr(peers, "connections", lambda *_, **__: found)
    return found


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


def test_of_a_dispersed_volume_one_self_heal_daemon_has_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = cluster(layout="dispersed", floatingAddress=None)
    stand_in = Glusterd(monkeypatch, replace(there(3), layout="dispersed", options=options.wanted(known)))
    stand_in.healers = {UUIDS[0]: False, UUIDS[2]: True}
    problems: list[str] = []
    health.collect(Paths(tmp_path), "storage-1", known, problems)
    assert problems == []
    stand_in.healers[UUIDS[2]] = False
    health.collect(Paths(tmp_path), "storage-1", known, problems)
    assert problems == ["No self-heal daemon of the volume runs."]


def test_the_status_says_that_healing_is_held_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = options.wanted(cluster(floatingAddress=None))
    volume = there(3)
    Glusterd(monkeypatch, replace(volume, options=kept | fresh.note(volume.bricks[1:2])))
    problems: list[str] = []
    health.collect(Paths(tmp_path), "storage-1", cluster(floatingAddress=None), problems)
    assert problems == [
        "The bricks 10.77.0.12:/brick/brick-1 were not brought in to the end, and nothing is healed until they are; "
        "run `pulumi up`, unless one is under way."
    ]


@pytest.mark.parametrize("sparing", [False, True])
def test_the_status_names_the_bricks_that_the_nodes_nfs_server_does_not_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connections: list[str], sparing: bool
) -> None:
    known = cluster(floatingAddress=None)
    Glusterd(monkeypatch, replace(there(3), options=options.wanted(known)))
    monkeypatch.setattr(healer, "runs_here", lambda _: False)
    monkeypatch.setattr(watch, "dead", lambda _: [])
    seen = [Peer(UUIDS[0], gluster.IN_CLUSTER, True), Peer(UUIDS[2], gluster.IN_CLUSTER, True)]
    monkeypatch.setattr(gluster, "peers", lambda: seen)
    server, mount = 'users:(("ganesha.nfsd",pid=392,fd=20))', 'users:(("glusterfs",pid=310,fd=9))'
    connections += [
        f"0 0 127.0.0.1:49139 127.0.0.1:24007 {server}",
        f"0 0 [::ffff:10.77.0.10]:2049 [::ffff:10.77.0.101]:49200 {server}",
        f"0 0 10.77.0.12:49140 10.77.0.12:49152 {server}",
        f"0 0 10.77.0.12:49141 10.77.0.11:49153 {server}",
        f"0 0 10.77.0.12:49142 10.77.0.13:49152 {mount}",
    ]
    problems: list[str] = []
    health.collect(Paths(tmp_path), "storage-2", known, problems, sparing=sparing)
    assert problems == ["The NFS server of storage-2 is not connected to the brick of storage-3."]
    connections.append(f"0 0 10.77.0.12:49143 10.77.0.13:49152 {server}")
    health.collect(Paths(tmp_path), "storage-2", known, problems, sparing=sparing)
    assert len(problems) == 1
    # One that exports nothing has no client of the volume.
    exporting = connections[:]
    connections[:] = connections[1:2]
    health.collect(Paths(tmp_path), "storage-2", known, problems, sparing=sparing)
    assert len(problems) == 1
    connections[:] = exporting
    # Of a node that is away that is not said once more.
    del connections[2:]
    seen[0] = replace(seen[0], connected=False)
    problems.clear()
    health.collect(Paths(tmp_path), "storage-2", known, problems, sparing=sparing)
    assert [problem for problem in problems if "NFS server" in problem] == [
        "The NFS server of storage-2 is not connected to the brick of storage-2.",
        "The NFS server of storage-2 is not connected to the brick of storage-3.",
    ]


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
    assert any("does not run with all members of the cluster" in problem for problem in problems)
    assert found["floatingAddress"] == {"address": "10.77.0.10", "holder": None}
    assert any(problem.startswith("What is left to be healed cannot be told: glfsheal") for problem in problems)


def test_what_is_looked_at_again_and_again_is_asked_of_all_members_by_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = cluster(floatingAddress=None)
    stand_in = Glusterd(monkeypatch, replace(there(3), options=options.wanted(known)))
    asked: list[str] = []

    def running(_: str) -> Running:
        asked.append("all")
        return Running({})

    monkeypatch.setattr(gluster, "running", running)
    problems: list[str] = []
    monkeypatch.setattr(healer, "runs_here", lambda _: True)
    seen = [Peer(UUIDS[0], gluster.IN_CLUSTER, True), Peer(UUIDS[2], gluster.IN_CLUSTER, True)]
    monkeypatch.setattr(gluster, "peers", lambda: seen)
    left = health.collect(Paths(tmp_path), "storage-2", known, problems, sparing=True)
    assert (left["seenBy"], left["bricks"]) == ("storage-1", [])
    assert asked == []
    assert problems == ["The brick of storage-2 does not run.", "The self-heal daemon of storage-2 does not run."]
    health.collect(Paths(tmp_path), "storage-1", known, [], sparing=True)
    assert asked == ["all"]
    # The next one looks where the first is away.
    seen[0] = replace(seen[0], connected=False)
    found = health.collect(Paths(tmp_path), "storage-2", known, [], sparing=True)
    assert asked == ["all", "all"]
    assert found["seenBy"] == "storage-2"
    assert stand_in.changes == []
    assert status.speaks({"node": "storage-2", "cluster": found})
    assert not status.speaks({"node": "storage-3", "cluster": found})
    assert not status.speaks({"node": "storage-2", "cluster": {"nodes": []}})
    assert status.speaks({"node": "storage-1"})
