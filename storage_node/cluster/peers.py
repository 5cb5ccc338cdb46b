"""Who is connected to what, by the kernel's list of connections; nobody is asked for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage_node import system
from storage_node.cluster.membership import Cluster
from storage_node.firewall import BRICK_PORTS, MANAGEMENT_PORT

_FIRST, _LAST = BRICK_PORTS
# What comes in from others ends at a port of this node's own brick.
_TO_BRICKS = f"( dport >= :{_FIRST} and dport <= :{_LAST} and ( sport < :{_FIRST} or sport > :{_LAST} ) )"
# The other end, and the process behind it: 10.77.0.12:49152 users:(("ganesha.nfsd",pid=392,fd=11)).
_OWNED = re.compile(r'(\S+):(\d+)\s+users:\(\("([^"]+)",pid=(\d+),')


@dataclass(frozen=True)
class Connection:
    """One TCP connection of a process of this node, and where it ends."""

    program: str
    pid: int
    address: str
    port: int


def connections(*options: str, which: str = "") -> list[str]:
    """This node's TCP connections as ss(8) prints them, the other end fourth; ``which`` is a filter of its."""
    line = ["ss", "--no-header", "--tcp", "--numeric", *options, "state", "established", *([which] if which else [])]
    return system.must(line, "Listing the connections").splitlines()


def owned(*programs: str) -> list[Connection]:
    """The connections of this node's processes of these names."""
    found = [_OWNED.search(line) for line in connections("--processes")]
    return [Connection(one[3], int(one[4]), one[1], int(one[2])) for one in found if one and one[3] in programs]


def managed(name: str, cluster: Cluster) -> frozenset[str]:
    """The other members whose glusterd this node's has a connection to; it ends 10 s after a member is gone."""
    return _others(name, cluster, f"dport = :{MANAGEMENT_PORT}")


def bricks(name: str, cluster: Cluster) -> frozenset[str]:
    """The other members to whose brick a client of the volume on this node is connected."""
    return _others(name, cluster, _TO_BRICKS)


def apart(program: str, cluster: Cluster) -> list[str]:
    """The members to whose brick this node's program of that name is not connected; none where it is no client."""
    found = owned(program)
    there = {one.address for one in found if _FIRST <= one.port <= _LAST}
    # Each client of a volume is one of glusterd's, too, for as long as there is one.
    is_client = any(one.port == MANAGEMENT_PORT for one in found)
    return [member.name for member in cluster.members if member.address not in there] if is_client else []


def _others(name: str, cluster: Cluster, which: str) -> frozenset[str]:
    there = {line.split()[3].rpartition(":")[0] for line in connections(which=which)}
    return frozenset(member.name for member in cluster.others(name) if member.address in there)
