"""Whether the volume's clients know all of its bricks, and what is done about one that keeps to fewer.

A client builds a new graph when the volume gains bricks, and takes it in the old one's place at the next request. One
by libgfapi, as the NFS server is, tries that once (11.1, glfs-resolve.c): where less than a majority is connected just
then, as among seven emulated members, it keeps the old graph for good, and nothing that it writes gets to the bricks
that came, or is marked as missing there. It is told by its connections: it has two to a brick that was there before,
one by each graph. So has a server that nobody asks for anything; to start that one anew costs nobody anything.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from storage_node import services, system
from storage_node.cluster import fresh, ganesha, gluster, peers
from storage_node.cluster.gluster import Brick
from storage_node.cluster.options import VOLUME
from storage_node.cluster.peers import Connection
from storage_node.firewall import MANAGEMENT_PORT
from storage_node.paths import Paths

# What a switch takes that comes to a good end: glusterfs waits for 10 s for the bricks that do not answer.
STUCK_SECONDS = 20.0
# A mount that does not answer is asked again the next time.
TOUCH_SECONDS = 20.0
_FUSE = "glusterfs"


def outdated(bricks: Sequence[Brick]) -> str | None:
    """Which member has clients that do not know all bricks, in words; None when there is none."""
    try:
        there = gluster.clients(VOLUME)
    except gluster.RefusedError as refusal:
        # One that has just been started is not yet connected to its member's glusterd, which therefore cannot ask it.
        if not refusal.by_a_member:
            raise
        return f"A brick does not say yet who its clients are: {refusal}"
    for brick in bricks:
        if brick.name not in there:
            return f"The brick {brick.name} does not say yet who its clients are"
    for address in sorted({address for clients in there.values() for address in clients}):
        counts = {brick.name: there[brick.name][address] for brick in bricks}
        fewest, most = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
        if counts[fewest] != counts[most]:
            return (
                f"The clients on {address} do not all know the whole volume yet: {counts[most]} are connected to "
                f"{most}, and {counts[fewest]} to {fewest}"
            )
    return None


class Keeper:
    """Has this node's clients of the volume take up the bricks that came, while some are noted as coming."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._since: dict[int, float] = {}

    def look(self) -> None:
        """Starts the NFS server anew when it is stuck, and asks something of the mount when it lags."""
        if not fresh.is_noted(self._paths):
            self._since = {}
            return
        now = time.monotonic()
        lagging = doubled(peers.owned(ganesha.PROCESS, _FUSE))
        self._since = {pid: self._since.get(pid, now) for pid in lagging}
        if _FUSE in lagging.values():
            system.run(["stat", "--file-system", str(self._paths.data)], timeout=TOUCH_SECONDS)
        for pid, name in lagging.items():
            if name == ganesha.PROCESS and now - self._since[pid] >= STUCK_SECONDS:
                words = "The NFS server keeps to bricks that there were before; it is started anew."
                print(words, file=sys.stderr, flush=True)
                services.renew_unit(self._paths, ganesha.SERVICE)
                del self._since[pid]


def doubled(connections: Iterable[Connection]) -> dict[int, str]:
    """The clients that have more than one connection to a brick: their names by process id."""
    # A client may have several connections to glusterd at any time.
    found = Counter(one for one in connections if one.port != MANAGEMENT_PORT)
    return {one.pid: one.program for one, count in found.items() if count > 1}
