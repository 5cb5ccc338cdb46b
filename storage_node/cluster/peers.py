"""Who is connected to what, by the kernel's list of connections; nobody is asked for it."""

from __future__ import annotations

from storage_node import system
from storage_node.cluster.membership import Cluster
from storage_node.firewall import BRICK_PORTS, MANAGEMENT_PORT

_FIRST, _LAST = BRICK_PORTS
# What comes in from others ends at a port of this node's own brick.
_TO_BRICKS = f"( dport >= :{_FIRST} and dport <= :{_LAST} and ( sport < :{_FIRST} or sport > :{_LAST} ) )"


def connections(*options: str, which: str = "") -> list[str]:
    """This node's TCP connections as ss(8) prints them, the other end fourth; ``which`` is a filter of its."""
    line = ["ss", "--no-header", "--tcp", "--numeric", *options, "state", "established", *([which] if which else [])]
    return system.must(line, "Listing the connections").splitlines()


def managed(name: str, cluster: Cluster) -> frozenset[str]:
    """The other members whose glusterd this node's has a connection to; it ends 10 s after a member is gone."""
    return _others(name, cluster, f"dport = :{MANAGEMENT_PORT}")


def bricks(name: str, cluster: Cluster) -> frozenset[str]:
    """The other members to whose brick a client of the volume on this node is connected."""
    return _others(name, cluster, _TO_BRICKS)


def _others(name: str, cluster: Cluster, which: str) -> frozenset[str]:
    there = {line.split()[3].rpartition(":")[0] for line in connections(which=which)}
    return frozenset(member.name for member in cluster.others(name) if member.address in there)
