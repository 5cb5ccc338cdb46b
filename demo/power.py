"""A power cut in the middle of a backup, and what is left of it."""

import threading
import time
from collections.abc import Callable

from demo.addon import Addon
from demo.shell import Result
from demo.tree import Tree

#: How long a backup that lost its storage may take to end once the storage is back.
END_SECONDS = 1200

#: How long to wait for the backup's first data on the storage.
_BEGIN_SECONDS = 300


def backup_through_power_cut(addon: Addon, tree: Tree, off: Callable[[], None], on: Callable[[], None]) -> str:
    """Cuts the storage's power while ``addon`` backs ``tree`` up: nothing that was reported may be lost.

    ``off`` cuts the power at once; ``on`` returns when the storage serves again. The backup itself or a retry must
    succeed, and every byte of the repository must then be sound.
    """
    tree.make()
    before = {entry["id"] for entry in addon.snapshots()}
    ended: list[Result] = []
    line = f'backup --json --host {addon.name} --tag "2026-03-01_020000_UTC 0a1b2c3 auto" ' + tree.path
    writer = threading.Thread(target=lambda: ended.append(addon.restic(line, seconds=END_SECONDS)))
    writer.start()
    wait_for_more_packs(addon, writer)
    off()
    cut = time.monotonic()
    on()
    away = time.monotonic() - cut
    writer.join()
    survived = bool(ended) and ended[0].status == 0
    if not survived:
        addon.backup(tree.path, "2026-03-01_020000_UTC", "auto")
    addon.check(read_data=True)
    after = {entry["id"] for entry in addon.snapshots()}
    if not before < after:
        raise AssertionError(f"Snapshots {sorted(before - after)} are gone after the power cut.")
    how = "the backup completed by itself" if survived else "a retry completed"
    return f"away for {away:.0f} s, {how}, every byte checked"


def _packs(addon: Addon) -> int:
    return int(addon.machine.run(f"find {addon.own['repository']}/data -type f | wc -l"))


def wait_for_more_packs(addon: Addon, writer: threading.Thread) -> None:
    """Returns when the backup that has just begun has written data, so that what follows comes in its middle."""
    before = _packs(addon)
    deadline = time.monotonic() + _BEGIN_SECONDS
    while _packs(addon) <= before:
        if not writer.is_alive():
            raise AssertionError("The backup ended before it wrote any data; the site is too small for this.")
        if time.monotonic() > deadline:
            raise AssertionError(f"The backup wrote no data within {_BEGIN_SECONDS} s.")
        time.sleep(0.2)
