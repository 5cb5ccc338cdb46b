"""The loss of the very node that serves, in the middle of a backup: on a cluster it completes all the same."""

import time
from collections.abc import Callable

from demo.addon import Addon, answer_lost
from demo.midway import MidwayBackup
from demo.tree import Tree

_NAME = "2026-03-02_020000_UTC"

#: How long the cluster may take to be whole again once the node is back.
_HEAL_SECONDS = 1800


def backup_through_node_loss(
    addon: Addon, tree: Tree, off: Callable[[], str], on: Callable[[], None], pending: Callable[[], int | None]
) -> str:
    """Cuts the power of the serving node while ``addon`` backs ``tree`` up: that backup itself must succeed.

    Only one whose rename the node did and died before it could say so may be made anew (docs/operations.md).
    ``off`` cuts the power and names the node; ``on`` brings it back, after the backup; ``pending`` counts what is left
    to heal, None while not all bricks can be asked. Every byte is checked while the node is away, and once it is whole.
    """
    backup = MidwayBackup(addon, tree, _NAME)
    lost = off()
    ended = backup.end()
    how = "the backup completed"
    if ended is not None and answer_lost(ended):
        addon.backup(tree.path, _NAME, "auto")
        how = "a retry completed: a rename's answer was lost"
    elif ended is None or ended.status != 0:
        raise AssertionError(f"The backup did not survive the loss of {lost}: {ended.error if ended else 'no end'}")
    addon.check(read_data=True)
    on()
    began = time.monotonic()
    while pending() != 0:
        if time.monotonic() - began > _HEAL_SECONDS:
            raise AssertionError(f"{lost} is back, and {pending()} entries are still to be healed.")
        # Asking slows the healing down.
        time.sleep(10)
    addon.check(read_data=True)
    backup.see_all_kept(f"the loss of {lost}")
    return f"{lost} lost, {how}, every byte checked without it and after it was healed"
