"""A directory that was made twice is one again: two bricks know the same name by different ids (gfid split-brain).

Who serves makes a name on all bricks; where it dies before it has answered, the client asks the next server for the
same. Bricks that have the name refuse. One that lacks it, because it was away and is not healed yet, makes another one.
From then on GlusterFS answers whoever asks for the name with an input/output error, and heals nothing in that directory
any more. Seen with a directory, while a brick was filled and the serving node's NFS server was started anew.

Of files it takes the one that most bricks have (options.py). Of directories it does not: those of a volume of several
replica sets would not be its to choose (afr-self-heal-common.c). This volume has one set, so each member chooses for
what its own brick has. A brick notes that another lacks a directory when it was made on most of them (see
afr_need_dirty_marking); so where it notes that, and the volume refuses the name, its own is right.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from storage_node import node, system
from storage_node.cluster import brick, gluster, peers, pending
from storage_node.cluster.options import VOLUME
from storage_node.errors import from_os
from storage_node.paths import Paths

# Between two looks. What is still listed at the next is not just being healed.
LOOK_SECONDS = 60.0
# So many directories are asked for at one look, and one may take so long.
_DIRECTORIES, _STAT_SECONDS = 20, 30.0
_REFUSED = "Input/output error"


class Keeper:
    """Chooses this node's directory where another brick has one of the same name; for a replicated volume."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._next = 0.0
        self._listed = set[str]()

    def look(self) -> None:
        """Looks, when it is time. Raises NodeError for what cannot be settled yet, and is tried again."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        found = node.load(self._paths)
        if found.cluster is None or found.cluster.layout != "replicated":
            return
        place = brick.own(self._paths)
        before, self._listed = self._listed, brick.index(place)
        lasting = self._listed & before
        # GlusterFS chooses only while all of them are there.
        if not lasting or len(peers.bricks(found.name, found.cluster)) + 1 < len(found.cluster.members):
            return
        own = f"{found.cluster.member(found.name).address}:{self._paths.brick_mount}/{place.name}"
        try:
            names = _directories(place, lasting)
        except OSError as error:
            raise from_os("What is listed as to be healed cannot be looked at", error) from error
        for name in names:
            # What is in a directory is refused with it, and no more once that is chosen.
            if self._is_refused(name):
                gluster.choose(VOLUME, own, f"/{name}")
                print(f"/{name} had been made twice; what this node's brick has is kept.", file=sys.stderr, flush=True)

    def _is_refused(self, name: str) -> bool:
        asked = system.run(["stat", "--format=", "--", str(self._paths.data / name)], timeout=_STAT_SECONDS)
        return asked.status != 0 and asked.last_words.endswith(_REFUSED)


def _directories(place: Path, identities: set[str]) -> list[str]:
    """The directories of these that others are noted to lack, relative to the brick; each before those in it."""
    found: list[str] = []
    for identity in identities:
        handle = brick.handle(place, identity)
        # The one of a file is no symbolic link; the root's leads to itself.
        if handle.is_symlink() and any(map(any, pending.accused(handle).values())):
            path = os.path.relpath(os.path.realpath(handle), os.path.realpath(place))
            if path != os.curdir:
                found.append(path)
    return sorted(found)[:_DIRECTORIES]
