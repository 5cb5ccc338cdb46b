"""A user of its own for each environment: nothing but a number that owns the environment's directory.

The directory's owner is the record. Numbers given out are counted on the data disk, so that the number of a
purged environment never comes back: a client may still hold file handles and files of that user.
"""

from __future__ import annotations

import os
from pathlib import Path

from storage_node import atomic
from storage_node.errors import NodeError
from storage_node.paths import Paths

FIRST = 200000
LAST = 2**31 - 2


def allocate(paths: Paths, count: int = 1) -> list[int]:
    """Gives out numbers that no environment has or ever had, durably counted before they are used."""
    start = max([FIRST, _counted(paths), *(uid + 1 for uid in owners(paths.data).values())])
    if start + count > LAST:
        raise NodeError("No user numbers are left for new environments.")
    atomic.write_private(paths.uid_counter, f"{start + count}\n")
    return list(range(start, start + count))


def _counted(paths: Paths) -> int:
    try:
        return int(paths.uid_counter.read_text())
    except FileNotFoundError:
        return FIRST
    except ValueError:
        raise NodeError(
            f"{paths.uid_counter} does not hold a number; write one into it that is larger than the owner of every "
            "directory beside it."
        ) from None


def owners(data: Path) -> dict[str, int]:
    """The owner of each directory in the shared one that belongs to a user of ours, hidden ones included."""
    with os.scandir(data) as entries:
        found = {e.name: e.stat(follow_symlinks=False).st_uid for e in entries if e.is_dir(follow_symlinks=False)}
    return {name: uid for name, uid in found.items() if FIRST <= uid <= LAST}


def give(directory: Path, uid: int) -> None:
    """Gives a directory and all in it to one user, never following a link out of it; the top is done last.

    Interrupted, it is begun again, since the top still has its old owner.
    """
    for parent, directories, files, parent_descriptor in os.fwalk(directory, topdown=False, follow_symlinks=False):
        for name in directories + files:
            os.chown(name, uid, uid, dir_fd=parent_descriptor, follow_symlinks=False)
        if Path(parent) == directory:
            os.fchown(parent_descriptor, uid, uid)
            os.fchmod(parent_descriptor, 0o700)
