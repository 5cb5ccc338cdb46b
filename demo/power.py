"""A power cut in the middle of a backup, and what is left of it."""

import time
from collections.abc import Callable

from demo.addon import Addon
from demo.midway import MidwayBackup
from demo.tree import Tree

_NAME = "2026-03-01_020000_UTC"


def backup_through_power_cut(addon: Addon, tree: Tree, off: Callable[[], None], on: Callable[[], None]) -> str:
    """Cuts the storage's power while ``addon`` backs ``tree`` up: nothing that was reported may be lost.

    ``off`` cuts the power at once; ``on`` returns when the storage serves again. The backup itself or a retry must
    succeed, and every byte of the repository must then be sound.
    """
    backup = MidwayBackup(addon, tree, _NAME)
    off()
    cut = time.monotonic()
    on()
    away = time.monotonic() - cut
    ended = backup.end()
    survived = ended is not None and ended.status == 0
    if not survived:
        addon.backup(tree.path, _NAME, "auto")
    addon.check(read_data=True)
    backup.see_all_kept("the power cut")
    how = "the backup completed by itself" if survived else "a retry completed"
    return f"away for {away:.0f} s, {how}, every byte checked"
