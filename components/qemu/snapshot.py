"""Snapshots of a whole machine, memory included: minutes of set-up in a test become seconds.

The guest's clock stands still meanwhile: set it after a restore. The snapshot lies in the machine's own disks.
"""

from components.qemu import qmp
from components.qemu.machine import Machine


def save(machine: Machine, tag: str) -> None:
    """Keep the running machine's state under this name. Raises qmp.QmpError."""
    qmp.human(machine.directory, f"savevm {tag}")


def restore(machine: Machine, tag: str) -> None:
    """Continue from the snapshot, whether the machine is on or off. Raises qmp.QmpError."""
    machine.start()
    qmp.human(machine.directory, f"loadvm {tag}")
    qmp.execute(machine.directory, "cont")
