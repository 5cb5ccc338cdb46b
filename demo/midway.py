"""A backup that is in its middle, for what is to happen to its storage then."""

import threading
import time

from demo.addon import Addon
from demo.shell import Result
from demo.tree import Tree

#: How long a backup that lost its storage may take to end once the storage is back.
_END_SECONDS = 1200

#: How long to wait for the backup's first data on the storage.
_BEGIN_SECONDS = 300

#: More than a lock and an index of its own; restic sends its data in packs of 16 MiB.
_DATA_BYTES = 1_000_000


class MidwayBackup:
    """A backup of ``tree``, freshly made, under ``name``. Once this object is made, the backup has written data."""

    def __init__(self, addon: Addon, tree: Tree, name: str) -> None:
        tree.make()
        self._addon = addon
        self._before = self._snapshots()
        self._ended: list[Result] = []
        line = f'backup --json --host {addon.name} --tag "{name} 0a1b2c3 auto" {tree.path}'
        self._writer = threading.Thread(target=lambda: self._ended.append(addon.restic(line, seconds=_END_SECONDS)))
        before = written(addon)
        self._writer.start()
        await_more_data(addon, before, self._writer)

    def end(self) -> Result | None:
        """Waits until it has ended; gives how, None where it did not within its time."""
        self._writer.join()
        return self._ended[0] if self._ended else None

    def see_all_kept(self, event: str) -> None:
        """Raises AssertionError where a snapshot from before is gone, or none was added; ``event`` is what happened."""
        after = self._snapshots()
        if not self._before < after:
            raise AssertionError(f"Snapshots {sorted(self._before - after)} are gone after {event}.")

    def _snapshots(self) -> set[str]:
        return {entry["id"] for entry in self._addon.snapshots()}


def written(addon: Addon) -> int:
    """How many bytes of the repository the server has taken since it was mounted.

    Asked of the client's kernel, which costs the storage nothing (serverwritebytes in Linux's
    include/linux/nfs_iostat.h).
    """
    place = addon.own["repository"]
    line = f'awk \'$1 == "device" {{ here = $5 == "{place}" }} here && $1 == "bytes:" {{ print $7 }}\''
    return int(addon.machine.run(f"{line} /proc/self/mountstats"))


def await_more_data(addon: Addon, before: int, writer: threading.Thread) -> None:
    """Returns when the server has taken data since ``before``, so that what follows comes in the middle of a backup."""
    deadline = time.monotonic() + _BEGIN_SECONDS
    while written(addon) < before + _DATA_BYTES:
        if not writer.is_alive():
            raise AssertionError("The backup ended before it wrote any data; the site is too small for this.")
        if time.monotonic() > deadline:
            raise AssertionError(f"The backup wrote no data within {_BEGIN_SECONDS} s.")
        time.sleep(0.2)
