"""The brick: a directory on this node's own data disk, and the disk's only content."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from storage_node import atomic
from storage_node.errors import NodeError
from storage_node.paths import Paths

_PREFIX = "brick-"
# What is no brick yet: a copy that was not finished.
_UNFINISHED = ".filling"
# GlusterFS's own directory in a brick.
GLUSTERFS = ".glusterfs"
# Where GlusterFS keeps an entry's id, by which the bricks know it to be the same.
_ID = "trusted.gfid"
# An entry that is listed for so long is not one that is being written just now.
LISTED_SECONDS = 1.0
# How long a change of a name may take; on emulated machines with much to do it takes seconds.
CHANGING_SECONDS = 10.0
# Between two looks at it: so many of them that one meets the moment between two changes of the same directory.
_LOOK_SECONDS = 0.2


def ensure(paths: Paths, fill: Callable[[Path], bool]) -> str:
    """The brick's directory as glusterd is to know it, made on a disk that has none.

    Its name is new with every fresh disk, so that the cluster can tell a lost brick from the one in its place. ``fill``
    makes the directory that it is told with all that has to be in it, and on the disk, or returns False.
    """
    found = [place.name for place in there(paths)]
    if len(found) > 1:
        raise NodeError(f"{paths.brick_mount} holds several bricks ({', '.join(found)}); keep the one in use.")
    disk = paths.at(paths.brick_mount)
    unfinished = disk / _UNFINISHED
    if unfinished.exists():
        shutil.rmtree(unfinished)
    if not found:
        found = [f"{_PREFIX}{secrets.token_hex(4)}"]
        if fill(unfinished):
            unfinished.rename(disk / found[0])
        else:
            (disk / found[0]).mkdir(mode=0o755)
        atomic.sync_directory(disk)
    return os.path.join(paths.brick_mount, found[0])  # noqa: PTH118 - a path of the node's, not of this root's


def there(paths: Paths) -> list[Path]:
    """The bricks' directories on this node's data disk: one, or none yet."""
    return sorted(paths.at(paths.brick_mount).glob(f"{_PREFIX}*"))


def own(paths: Paths) -> Path:
    """This node's brick; one that has none has nothing that could be looked at."""
    return next(iter(there(paths)), paths.at(paths.brick_mount))


def listed(paths: Paths) -> int:
    """How many entries this node's own brick lists as to be healed.

    A dispersed volume lists an entry for as long as it is written, too.
    """
    return len(_lasting(partial(index, own(paths)), LISTED_SECONDS))


def doubts(paths: Paths) -> bool:
    """Whether this node's own brick does not know of some directory whether the last change of a name in it was made.

    One that is being made just now is no doubt, as far as it takes no longer than usual.
    """
    place = own(paths)

    def look() -> set[str]:
        return {identity for identity in index(place, "dirty") if handle(place, identity).is_dir()}

    return bool(_lasting(look, CHANGING_SECONDS))


def _lasting(look: Callable[[], set[str]], seconds: float) -> set[str]:
    """What is there at every look for so long; it ends where nothing is left.

    Two looks would not do: in the directory of a repository's locks something is changed again and again.
    """
    deadline = time.monotonic() + seconds
    found = look()
    while found and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
        found &= look()
    return found


def index(place: Path, kind: str = "xattrop") -> set[str]:
    """The ids of what the brick lists as to be healed; of the kind "dirty", of what it lists as being changed.

    GlusterFS's index of them is a directory of the brick, with a link for each entry to one file of its own
    (xlators/features/index).
    """
    try:
        names = os.listdir(place / GLUSTERFS / "indices" / kind)  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return set()
    return {name for name in names if not name.startswith(f"{kind}-")}


def handle(place: Path, identity: str) -> Path:
    """What leads to an entry of the brick by its id: a link to a file, and a symbolic one to a directory."""
    return place / GLUSTERFS / below(identity)


def identity(entry: Path) -> str:
    """The id of an entry of a brick. Raises OSError."""
    return text_of(os.getxattr(entry, _ID, follow_symlinks=False))


def known_as(place: Path, name: str) -> str | None:
    """The id that a brick has a name by, which is relative to it; None where it has nothing of that name."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return identity(place / name)
    return None


def text_of(identity: bytes) -> str:
    """An entry's id as the names in GlusterFS's own directory write it."""
    return str(uuid.UUID(bytes=identity))


def below(identity: str) -> str:
    """Where that is in GlusterFS's own directory (posix-handle.c)."""
    return f"{identity[:2]}/{identity[2:4]}/{identity}"
