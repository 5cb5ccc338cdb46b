"""A directory that was made twice is one again: two bricks know the same name by different ids (gfid split-brain).

Who serves makes a name on all bricks; where it dies before it has answered, the client asks the next server for the
same. Bricks that have the name refuse. One that lacks it, because it was away and is not healed yet, makes another one.
From then on GlusterFS answers whoever asks for the name with an input/output error, and heals nothing in that directory
any more. Seen with a directory, while a brick was filled and the serving node's NFS server was started anew.

Of files it takes the one that most bricks have (options.py). Of directories it does not: those of a volume of several
replica sets would not be its to choose (afr-self-heal-common.c). This volume has one set, so each member chooses for
what its own brick has. A brick notes that another lacks a directory when it was made on most of them (see
afr_need_dirty_marking); so where it notes that, and the volume refuses the name, its own is right. Which one most have
would say less there: a blank brick and one that was away may both have made the other one.

Where all lost their power in the middle of that, nothing is noted, and nothing is listed as to be healed. Then whoever
finds the name refused asks the others for the id that each has (recent.py looks after a start), and the copy that most
have is kept. What was reported as made is on a majority; where none has one, nothing was, and any will do.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from storage_node import node, system
from storage_node.cluster import brick, gluster, peers, pending, wire
from storage_node.cluster.membership import Member
from storage_node.cluster.options import VOLUME
from storage_node.errors import from_os
from storage_node.paths import Paths

# Between two looks. What is still listed at the next is not just being healed.
LOOK_SECONDS = 60.0
# So many directories are asked for at one look, and one may take so long.
_DIRECTORIES, _STAT_SECONDS = 20, 30.0
# How the volume refuses such a name, in words.
REFUSED = "Input/output error"


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
            if _is_refused(self._paths, name):
                gluster.choose(VOLUME, own, f"/{name}")
                print(f"/{name} had been made twice; what this node's brick has is kept.", file=sys.stderr, flush=True)


def settle(paths: Paths, names: Iterable[str]) -> None:
    """Chooses between the copies of those of these names that the volume refuses, where the bricks have different ones.

    All members have to be in reach, and nothing to be listed as to be healed. The names are relative to the volume.
    Raises NodeError and OSError for what cannot be chosen yet.
    """
    found = node.load(paths)
    for name in names:
        if found.cluster is None or not _is_refused(paths, name):
            continue
        kept = kept_of({one.name: _identity(paths, found.name, one, name) for one in found.cluster.members})
        if kept is not None:
            address = found.cluster.member(kept).address
            copy = next(one for one in pending.clients(paths) if one.startswith(f"{address}:"))
            gluster.choose(VOLUME, copy, f"/{name}")
            print(f"/{name} had been made twice; what {kept}'s brick has is kept.", file=sys.stderr, flush=True)


def kept_of(identities: Mapping[str, str | None]) -> str | None:
    """Whose copy is kept, by the ids that members have a name by, in their order; None where there is no choice."""
    there = {member: identity for member, identity in identities.items() if identity is not None}
    counts = Counter(there.values())
    most = max(counts.values(), default=0)
    return next(member for member in there if counts[there[member]] == most) if len(counts) > 1 else None


def _identity(paths: Paths, own: str, member: Member, name: str) -> str | None:
    if member.name == own:
        return brick.known_as(brick.own(paths), name)
    with wire.to(paths, member) as asked:
        asked.say({"want": "identity", "path": name})
        found: str | None = asked.hear()["identity"]
    return found


def _is_refused(paths: Paths, name: str) -> bool:
    asked = system.run(["stat", "--format=", "--", str(paths.data / name)], timeout=_STAT_SECONDS)
    return asked.status != 0 and asked.last_words.endswith(REFUSED)


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
