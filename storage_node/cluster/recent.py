"""What was being made, renamed or removed when a member was lost is on all bricks, or on none, when it is back.

Who makes such a change notes where it failed once it has failed: that is the NFS server of the node that serves. When
its machine dies in the middle, nobody is left to. Its own brick may lack a directory that the others have, with nothing
to tell so, and what is written into it later is listed as to be healed and never is: the self-heal daemon looks for it
by its id alone.

GlusterFS can note each change beforehand (cluster.optimistic-change-log off). But whatever was being changed then is in
doubt on all bricks for as long as one is away, and of what is in doubt the copies are merged: a name that was removed
meanwhile comes back with the member (afr-self-heal-entry.c; seen: a lock of restic's. A file of its index would be
worse: restic takes the packs that it names for there).

So the members that remain, a majority, tell their bricks that the lost one's may lack anything of the directories that
something was changed in lately. They are compared as a whole when it is back, and those that remained are right: none
tells whose own brick may lack something. When all is healed again, each member asks by name for whatever its own brick
has in these directories; GlusterFS makes on every brick what it finds on some. That is for what two of those that
remained have differently, and for a power cut of all, after which nobody has remained.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from storage_node import atomic, node, system
from storage_node.cluster import brick, gluster, peers, pending, twice
from storage_node.cluster.membership import Cluster
from storage_node.cluster.options import VOLUME
from storage_node.errors import from_os
from storage_node.paths import Paths

# How long before a loss is noticed what was changed may have been under way. A member is noticed to be lost some 10 s
# after its death, and an emulated one with much to do takes as long for one name.
LATELY_SECONDS = 60.0
# For how long a brick has to be out of reach, so that one that is merely started anew is left alone.
LOST_SECONDS = 5.0
# The first of those that remain tells; each of the others after so long for every one before it, where that has told
# nothing and the lost one is still away: one whose own brick may lack something does not.
TURN_SECONDS = 30.0
# For how long all have to be in reach before they are asked for anything: each client connects for itself.
STEADY_SECONDS = 30.0
# Between two looks at whether all is healed.
COUNT_SECONDS = 60.0
# So many names are asked for by one program, which may take so long.
_NAMES, _STAT_SECONDS = 50, 120.0
# After so long the rest is left for the next time: there may be a brick to be started.
_ASK_SECONDS = 20.0
_PURPOSE = "recent"
# Of what accuses another brick of lacking something (pending.accused) the first part is for data, and of a directory
# says that it is to be compared as a whole; the last is for names.
_WHOLE, _SOME = slice(0, 4), slice(8, 12)
# That names have been asked for since the machine started.
_ASKED = "/run/storage-node-recent.asked"


class Keeper:
    """Notes for this node's brick, and asks, as members are lost and come back; for a replicated volume."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._reached = frozenset[str]()
        self._away: dict[str, float] = {}
        # By lost member: those that remain and come before this one, when it is this one's turn, and of what to tell.
        self._owed: dict[str, tuple[frozenset[str], float, set[str]]] = {}
        self._steady_since: float | None = None
        self._next_count = 0.0
        # Whether this brick has had all that the others have, since it was last away from them.
        self._whole = False
        self._doubtful = set[str]()
        self._began = False

    def look(self) -> None:
        """Does what is due. Raises NodeError for what cannot be done yet, and is due again the next time."""
        try:
            self._look()
        except OSError as error:
            raise from_os("What a lost member may lack cannot be seen to yet", error) from error

    def _look(self) -> None:
        found = node.load(self._paths)
        if found.cluster is None or found.cluster.layout != "replicated":
            return
        if not self._began:
            if not self._paths.at(_ASKED).exists():
                self._doubtful = _before_boot(brick.own(self._paths))
            self._began = True
        now, reached = time.monotonic(), peers.bricks(found.name, found.cluster)
        if len(reached) + 1 < found.cluster.majority:
            # Those that remain may tell of this one.
            self._whole = False
            self._owed.clear()
        self._notice(found.name, reached, now)
        self._tell(found.name, found.cluster, reached, now)
        if len(reached) + 1 < len(found.cluster.members):
            self._steady_since = None
            return
        self._steady_since = self._steady_since if self._steady_since is not None else now
        if now - self._steady_since >= STEADY_SECONDS:
            self._owed.clear()
            if not self._whole or self._doubtful:
                self._settle(found.cluster, now)

    def _notice(self, name: str, reached: frozenset[str], now: float) -> None:
        self._away = {other: self._away.get(other, now) for other in self._reached - reached}
        lost = {other for other, since in self._away.items() if now - since >= LOST_SECONDS}
        self._reached = (self._reached | reached) - lost
        if not lost:
            return
        since = min(self._away[other] for other in lost)
        directories = _changed(brick.own(self._paths), time.time() - (now - since) - LATELY_SECONDS)
        self._doubtful |= directories
        if self._whole:
            before = frozenset(other for other in reached if other < name)
            self._owed |= dict.fromkeys(lost, (before, now + TURN_SECONDS * len(before), directories))

    def _tell(self, name: str, cluster: Cluster, reached: frozenset[str], now: float) -> None:
        due = {
            lost: directories
            for lost, (before, turn, directories) in self._owed.items()
            if not before & reached or (now >= turn and lost not in reached)
        }
        if not due:
            return
        calls = {called.rpartition(":")[0]: client for called, client in pending.clients(self._paths).items()}
        unreached = [member.address for member in cluster.others(name) if member.name not in reached]
        away = {client for address, client in calls.items() if address in unreached}
        place = brick.own(self._paths)
        todo = {
            client: [each for each in sorted(directories) if _to_be_told(place / each, client, {client, *away})]
            for client, directories in ((calls[cluster.member(lost).address], due[lost]) for lost in due)
        }
        if any(todo.values()):
            with pending.teller(self._paths, _PURPOSE) as volume:
                # Not answered without a majority, which this node may have lost meanwhile.
                list(volume.iterdir())
                for client, directories in todo.items():
                    for directory in directories:
                        # One that is gone is of no interest any more.
                        with contextlib.suppress(FileNotFoundError):
                            pending.tell(volume / directory, client)
            words = ", ".join(f"{len(directories)} ({client})" for client, directories in todo.items())
            print(f"Directories that a lost member's brick may lack names in: {words}.", file=sys.stderr, flush=True)
        for lost in due:
            del self._owed[lost]

    def _settle(self, cluster: Cluster, now: float) -> None:
        """Asks for what is doubtful once all is healed, which it would only keep waiting."""
        if now < self._next_count:
            return
        self._next_count = now + COUNT_SECONDS
        # What this brick lists itself costs nothing to know.
        if brick.listed(self._paths):
            return
        listed = gluster.listed(VOLUME)
        if len(listed) < len(cluster.members) or any(listed.values()):
            return
        if self._ask(now + _ASK_SECONDS):
            self._whole = True
            if not self._paths.at(_ASKED).exists():
                atomic.write(self._paths.at(_ASKED), "")
        else:
            self._next_count = now

    def _ask(self, deadline: float) -> bool:
        """Asks the volume for the names that this brick has in doubtful directories; returns whether that was all."""
        while self._doubtful:
            if time.monotonic() > deadline:
                return False
            # One comes before those in it, which are refused with it.
            directory = min(self._doubtful)
            place = brick.own(self._paths)
            names: list[str] = []
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                names = sorted(os.path.relpath(entry.path, place) for entry in _visible(place / directory))
            for start in range(0, len(names), _NAMES):
                chosen = names[start : start + _NAMES]
                paths = [str(self._paths.data / name) for name in chosen]
                asked = system.run(["stat", "--format=", "--", *paths], timeout=_STAT_SECONDS)
                # What is gone meanwhile is none of its errors.
                if twice.REFUSED in asked.stderr:
                    twice.settle(self._paths, chosen)
            self._doubtful.discard(directory)
        return True


def _visible(place: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(place) as entries:
        yield from (entry for entry in entries if entry.name != brick.GLUSTERFS)


def _directories(root: Path) -> Iterator[tuple[str, float]]:
    """All directories of a brick, relative to it, and when something was last made, renamed or removed in them."""
    left = [root]
    while left:
        place = left.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = place.lstat()
            yield str(place.relative_to(root)), found.st_mtime
            # A directory is linked to by each one in it, by itself and from above; most hold files alone, and many.
            if found.st_nlink != 2:
                left += [Path(entry.path) for entry in _visible(place) if entry.is_dir(follow_symlinks=False)]


def _changed(root: Path, since: float) -> set[str]:
    return {directory for directory, changed in _directories(root) if changed >= since}


def _before_boot(root: Path) -> set[str]:
    """Where the last changes were made before this machine started."""
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    before = {directory: changed for directory, changed in _directories(root) if changed < started}
    last = max(before.values(), default=0.0)
    return {directory for directory, changed in before.items() if changed >= last - LATELY_SECONDS}


def _to_be_told(directory: Path, client: str, away: Collection[str]) -> bool:
    """Whether this brick's directory does not doubt the client's brick as a whole yet, nor any that is not away.

    Where another is doubted as well, which may be healing, there might be none left to heal from.
    """
    accused = pending.accused(directory)
    doubted = {other for other, parts in accused.items() if any(parts[_SOME])}
    return not any(accused.get(client, b"")[_WHOLE]) and doubted <= set(away)
