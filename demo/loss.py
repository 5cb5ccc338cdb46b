"""The loss of the very node that serves, in the middle of a backup: on a cluster nobody may notice."""

import threading
import time
from collections.abc import Callable

from demo.addon import Addon
from demo.power import END_SECONDS, wait_for_more_packs
from demo.shell import Result
from demo.tree import Tree

#: How long the cluster may take to be whole again once the node is back.
_HEAL_SECONDS = 1800


def backup_through_node_loss(
    addon: Addon, tree: Tree, off: Callable[[], str], on: Callable[[], None], pending: Callable[[], int | None]
) -> str:
    """Cuts the power of the serving node while ``addon`` backs ``tree`` up: that backup itself must succeed.

    ``off`` cuts the power and names the node; ``on`` brings it back, after the backup; ``pending`` counts what is left
    to heal, None while not all bricks can be asked. Every byte is checked while the node is away, and once it is whole.
    """
    tree.make()
    before = {entry["id"] for entry in addon.snapshots()}
    ended: list[Result] = []
    line = f'backup --json --host {addon.name} --tag "2026-03-02_020000_UTC 0a1b2c3 auto" ' + tree.path
    writer = threading.Thread(target=lambda: ended.append(addon.restic(line, seconds=END_SECONDS)))
    writer.start()
    wait_for_more_packs(addon, writer)
    lost = off()
    writer.join()
    if not ended or ended[0].status != 0:
        raise AssertionError(f"The backup did not survive the loss of {lost}: {ended[0].error if ended else 'no end'}")
    addon.check(read_data=True)
    on()
    began = time.monotonic()
    while pending() != 0:
        if time.monotonic() - began > _HEAL_SECONDS:
            raise AssertionError(f"{lost} is back, and {pending()} entries are still to be healed.")
        time.sleep(2)
    addon.check(read_data=True)
    after = {entry["id"] for entry in addon.snapshots()}
    if not before < after:
        raise AssertionError(f"Snapshots {sorted(before - after)} are gone after the loss of {lost}.")
    return f"{lost} lost, the backup completed, every byte checked without it and after it was healed"
