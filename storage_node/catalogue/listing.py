"""What lies in a repository at one moment, without reading any of it.

Clients back up, prune and restore meanwhile: a directory that changed while it was listed is listed again.
"""

from __future__ import annotations

import os
import time

from storage_node.restic import files
from storage_node.restic.files import UntrustworthyError

ID_LENGTH = 64
# A file system's clock may tick as seldom as 100 times a second (CONFIG_HZ): a change within the tick of the last
# one cannot be seen in the directory's times.
TICK_NS = 10_000_000
ATTEMPTS = 20


class Listing:
    """A repository's files by name, each snapshot's with its change time in nanoseconds.

    The change time moves when a file is written to, replaced, or given other permissions, and nobody can set it.
    """

    __slots__ = ("config", "keys", "snapshots")

    def __init__(self, config: int, keys: list[str], snapshots: dict[str, int]) -> None:
        self.config = config
        self.keys = keys
        self.snapshots = snapshots


def take(top: int) -> Listing:
    """Lists an open repository; raises UntrustworthyError when a part is missing without which it is none."""
    try:
        config = os.stat("config", dir_fd=top, follow_symlinks=False).st_ctime_ns
    except FileNotFoundError:
        raise UntrustworthyError("its config is missing") from None
    with files.directory("keys", top) as directory:
        keys = os.listdir(directory)  # noqa: PTH208 - an open directory
    with files.directory("snapshots", top) as directory:
        for _ in range(ATTEMPTS):
            began, before = time.time_ns(), os.fstat(directory).st_ctime_ns
            snapshots = _change_times(directory)
            if os.fstat(directory).st_ctime_ns == before and not 0 <= began - before < TICK_NS:
                break
            time.sleep(TICK_NS / 1e9)
    return Listing(config, keys, snapshots)


def _change_times(directory: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in os.listdir(directory):
        if len(name) == ID_LENGTH:  # restic's unfinished files have longer names
            try:
                found[name] = os.stat(name, dir_fd=directory, follow_symlinks=False).st_ctime_ns
            except FileNotFoundError:
                continue
    return found
