"""What is left to be healed on the volume: counted where that is much, looked at where it is little; and waited for.

To look at an entry, which alone tells what has to be healed from what is being written just now, takes its lock on
every brick. With many entries that takes minutes, and keeps the healing itself from getting on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from storage_node.cluster import brick, gluster
from storage_node.cluster.gluster import Heal
from storage_node.cluster.options import VOLUME
from storage_node.errors import AwayError, NodeError
from storage_node.paths import Paths

# Healing takes as long as there is data; it has failed when nothing is healed any more.
STALLED_SECONDS = 1800.0
# Above so many entries they are only counted, and above so many locks: a look takes an entry's on each brick, for each
# brick that lists it. Of a replicated volume that is 20 entries on three bricks, 7 on five and 3 on seven.
FEW_ENTRIES, FEW_LOCKS = 20, 180


def counts(paths: Paths, layout: str) -> dict[str, int]:
    """How many entries each brick lists as to be healed, by the brick's name, as far as that costs next to nothing.

    Of a dispersed volume gluster counts none, and only this node's own brick is known, by the name "": each brick that
    was there lists what one that was away lacks.
    """
    return gluster.listed(VOLUME) if layout == "replicated" else {"": brick.listed(paths)}


def look(paths: Paths, layout: str, own: str = "") -> list[Heal]:
    """What is left, by brick; ``own`` is the name of this node's. Many entries are counted, and no more is told."""
    found = counts(paths, layout)
    few = min(FEW_ENTRIES, FEW_LOCKS // max(1, len(found)) ** 2)
    if max(found.values(), default=0) > few:
        return [Heal(name or own, count, None) for name, count in found.items()]
    return gluster.heals(VOLUME)


def await_healed(look: Callable[[], list[Heal]]) -> int:
    """Waits until ``look`` finds nothing left to be healed; returns how many entries it found at most.

    Raises NodeError when healing stands still, or when copies contradict each other.
    """
    most, least, moved = 0, None, time.monotonic()
    clean = 0
    while clean < 2:
        began = time.monotonic()
        try:
            left, away = _left(look())
        except AwayError:
            # Bricks with much to do take long to look at what is written just now; there is more to wait for.
            left, away = max(least or 0, 1), []
        most = max(most, left)
        if least is None or left < least:
            least, moved = left, time.monotonic()
        # Looked at twice: between two of its passes the list of what is to be healed may be empty.
        clean = clean + 1 if not left and not away else 0
        if time.monotonic() - moved > STALLED_SECONDS:
            state = f"bricks away: {', '.join(away)}" if away else f"{left} entries left"
            raise NodeError(f"Healing has stood still for {STALLED_SECONDS:.0f} s with {state}.")
        if not clean:
            _tell(left, away)
        if clean < 2:
            # Asking slows the healing down: seen to take minutes for twenty entries on seven busy nodes, all the while.
            time.sleep(2.0 if clean else max(5.0, 2 * (time.monotonic() - began)))
    return most


def _left(heals: list[Heal]) -> tuple[int, list[str]]:
    """How many entries are left to be healed, and which bricks cannot be asked."""
    torn = sum(heal.split_brain or 0 for heal in heals)
    if torn:
        raise NodeError(
            f"{torn} entries of the volume contradict each other on its bricks (split brain); see "
            f"`gluster volume heal {VOLUME} info split-brain` on a node, and docs/operations.md."
        )
    return max((heal.pending or 0 for heal in heals), default=0), [heal.brick for heal in heals if heal.pending is None]


def _tell(left: int, away: list[str]) -> None:
    words = f"{left} entries left to heal" + (f", bricks away: {', '.join(away)}" if away else "")
    print(words, file=sys.stderr, flush=True)
