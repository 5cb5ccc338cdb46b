"""One changing step at a time on a node.

The lock's descriptor is handed to long-running children as well: when a step is killed while restic still works,
the next step waits until that restic has ended, and never meets it half way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from storage_node import atomic
from storage_node.paths import UNFINISHED_PREFIX, Paths
from storage_node.waiting import until

# An orphaned `restic key add` behind a slow disk may take minutes; an operator who waits longer wants to know.
WAIT_SECONDS = 300.0
POLL_SECONDS = 0.1
# Another node may be making hundreds of repositories; each look costs a round trip to all bricks.
MEMBERS_WAIT_SECONDS = 3600.0
MEMBERS_POLL_SECONDS = 1.0
# Until then the member that makes the lock has the volume mounted, or its own step has failed.
MADE_SECONDS = 900.0

_held: list[int] = []


@contextlib.contextmanager
def exclusive(path: Path, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Holds the node's lock, waiting for another step to end; raises NodeError when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(partial(fcntl.flock, descriptor), lambda: _holder(descriptor), wait_seconds, POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        _held.append(descriptor)
        try:
            yield
        finally:
            _held.remove(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def among_members(paths: Paths, maker: str | None, wait_seconds: float = MEMBERS_WAIT_SECONDS) -> Iterator[None]:
    """Holds the one lock of a cluster, a lock on a file of its volume; raises NodeError when it does not come free.

    ``maker`` is the member that makes the file, None for this node. The volume gives the lock back when the node that
    holds it dies.
    """
    descriptor = _open_members_lock(paths, maker)
    try:
        busy = "Another node is at work on the repositories"
        _acquire(partial(fcntl.lockf, descriptor), lambda: busy, wait_seconds, MEMBERS_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _open_members_lock(paths: Paths, maker: str | None) -> int:
    """One member makes the file: the bricks of a dispersed volume keep different ones when several do so at once.

    It makes the directory under a name that nobody asks for, and renames it. A brick may take a directory that is asked
    for while it is made for one without an identity and give it one (GlusterFS 11.1, posix_gfid_heal): it then differs
    from the other bricks', and the first environments wait for the volume's root to be healed.
    """
    path = paths.members_lock
    if maker is None:
        if not path.parent.exists():
            unfinished = paths.data / f"{UNFINISHED_PREFIX}{path.parent.name}"
            atomic.private_directory(unfinished)
            os.close(os.open(unfinished / path.name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            unfinished.rename(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    missing = f"{maker} has not begun with the repositories yet"
    until(lambda: None if path.exists() else missing, MADE_SECONDS, MEMBERS_POLL_SECONDS, f"see what {maker} says")
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def _acquire(take: Callable[[int], object], busy: Callable[[], str], seconds: float, poll: float) -> None:
    """Takes a lock once it is free; ``busy`` says who has it."""

    def missing() -> str | None:
        try:
            take(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return busy()
        return None

    until(missing, seconds, poll, "let it end, then run `pulumi up` again")


def _holder(descriptor: int) -> str:
    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
    return f"Another storage-node step (process {holder}) is at work"


def held_descriptors() -> tuple[int, ...]:
    """The lock's descriptor while it is held: for children that must end before another step may begin."""
    return tuple(_held)
