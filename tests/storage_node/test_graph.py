"""Clients of the volume that do not know all of its bricks are noticed, and brought to it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from storage_node import services, system
from storage_node.cluster import gluster, graph, peers
from storage_node.paths import Paths
from tests.storage_node.volumes import bricks

pytestmark = pytest.mark.cluster

SERVER = 'users:(("ganesha.nfsd",pid=812,fd=21))'
MOUNT = 'users:(("glusterfs",pid=611,fd=9))'
BRICK = 'users:(("glusterfsd",pid=590,fd=12))'


def connections(*found: tuple[str, str]) -> list[str]:
    """Lines as ss(8) prints them: the other ends, and whose they are."""
    return [f"0      0      10.77.0.12:4915{n}   {peer}   {owner}" for n, (peer, owner) in enumerate(found)]


def test_who_has_two_connections_to_a_brick_has_two_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(*found: tuple[str, str]) -> dict[int, str]:
        monkeypatch.setattr(system, "must", lambda *_: "\n".join(connections(*found)))
        return graph.doubled(peers.owned("ganesha.nfsd", "glusterfs"))

    one = [("10.77.0.11:49152", SERVER), ("10.77.0.12:49152", SERVER), ("10.77.0.11:49152", MOUNT)]
    assert doubled(*one) == {}
    assert doubled(*one, ("10.77.0.12:49152", SERVER)) == {812: "ganesha.nfsd"}
    assert doubled(*one, ("10.77.0.11:49152", MOUNT)) == {611: "glusterfs"}
    # Others' connections, those to glusterd, and what is nobody's.
    more = [("127.0.0.1:24007", SERVER)] * 2 + [("10.77.0.13:49152", BRICK)] * 2 + [("10.77.0.13:22", "")] * 2
    assert doubled(*one, *more) == {}


def test_a_brick_that_cannot_be_asked_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["Commit failed on 10.77.0.12", "Volume data does not exist"]

    def clients(_: str) -> dict[str, Counter[str]]:
        raise gluster.RefusedError(f"`gluster volume status data` was refused: {said.pop(0)}.")

    monkeypatch.setattr(gluster, "clients", clients)
    assert "does not say yet who its clients are: `gluster volume status data`" in str(graph.outdated(bricks(3)))
    with pytest.raises(gluster.RefusedError, match="does not exist"):
        graph.outdated(bricks(3))


class Node:
    """A node with these connections, a clock, and what was done on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.paths, self.now, self.done = Paths(root), 0.0, list[str]()
        self.lines: list[str] = []
        self.info = root / "var/lib/glusterd/vols/data/info"
        self.info.parent.mkdir(parents=True)
        monkeypatch.setattr("storage_node.cluster.graph.time.monotonic", lambda: self.now)
        monkeypatch.setattr(system, "must", lambda *_: "\n".join(self.lines))
        monkeypatch.setattr(system, "run", lambda line, **_: self.done.append(line[0]))
        monkeypatch.setattr(services, "renew_unit", lambda _, unit: self.done.append(unit))

    def note(self, names: str) -> None:
        self.info.write_text(f"type=2\nuser.storage-node-fresh={names}\nbrick-0=10.77.0.11:-brick-brick-0\n")


def test_a_server_that_stays_with_the_old_bricks_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = Node(monkeypatch, tmp_path)
    keeper = graph.Keeper(node.paths)
    stuck = connections(("10.77.0.11:49152", SERVER), ("10.77.0.11:49152", SERVER))
    node.lines = stuck
    # Where no bricks come nobody is stuck, and a volume that is not there has none.
    keeper.look()
    node.note("none")
    for node.now in (0.0, 60.0):
        keeper.look()
    assert node.done == []
    node.note(bricks(4)[3].name)
    # One that switches has both for a while.
    for node.now, node.lines in ((100.0, stuck), (115.0, stuck), (118.0, []), (121.0, stuck), (130.0, stuck)):
        keeper.look()
    assert node.done == []
    node.now = 142.0
    keeper.look()
    assert node.done == ["nfs-ganesha.service"]
    # It goes on being there until systemd has ended it.
    node.now = 147.0
    keeper.look()
    assert node.done == ["nfs-ganesha.service"]


def test_a_mount_that_lags_is_asked_for_something(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node = Node(monkeypatch, tmp_path)
    node.note(bricks(4)[3].name)
    node.lines = connections(("10.77.0.11:49152", MOUNT), ("10.77.0.11:49152", MOUNT))
    graph.Keeper(node.paths).look()
    assert node.done == ["stat"]
