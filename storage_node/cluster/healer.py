"""Which members' self-heal daemons run: of a replicated volume all, of a dispersed one a single one.

A replicated volume's daemon goes through what its own brick lists. A dispersed volume's goes through what any brick
lists, with a thread for each (11.1, ec_shd_index_healer_wake): seven daemons look at every entry 49 times over, and
while a brick is away, or the first of them is at work, each does all of the work again, with the locks that a backup
waits for. Seen on seven members after three had come back: all daemons healed 4 of 30 entries in 8 minutes, one of
them all 34 in 9.
"""

from __future__ import annotations

from storage_node import node
from storage_node.cluster import peers
from storage_node.cluster.membership import Cluster
from storage_node.paths import Paths


def runs_here(paths: Paths) -> bool:
    """Whether this node's self-heal daemon has to run.

    Of a dispersed volume it is the last member's among those that this node sees. Members that see others than it does
    may run another one meanwhile, which does no harm.
    """
    found = node.load(paths)
    if found.cluster is None or found.cluster.layout == "replicated":
        return True
    return _last(found.name, found.cluster) == found.name


def _last(name: str, cluster: Cluster) -> str:
    """The last member that this node, which has that name, has a connection to; or itself."""
    there = {name} | peers.managed(name, cluster)
    return next(member.name for member in reversed(cluster.members) if member.name in there)
