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


def apart(program: str, cluster: Cluster) -> list[str]:
    """The members to whose brick this node's program of that name is not connected; none where it is no client."""
    # A process is named behind what it is connected to: users:(("ganesha.nfsd",pid=392,fd=11)).
    own = [line.split()[3] for line in connections("--processes") if f'(("{program}"' in line]
    ends = [(address, int(port)) for address, _, port in (end.rpartition(":") for end in own)]
    there = {address for address, port in ends if _FIRST <= port <= _LAST}
    # Each client of a volume is one of glusterd's, too, for as long as there is one.
    is_client = any(port == MANAGEMENT_PORT for _, port in ends)
    return [member.name for member in cluster.members if member.address not in there] if is_client else []


def _others(name: str, cluster: Cluster, which: str) -> frozenset[str]:
    there = {line.split()[3].rpartition(":")[0] for line in connections(which=which)}
    return frozenset(member.name for member in cluster.others(name) if member.address in there)
