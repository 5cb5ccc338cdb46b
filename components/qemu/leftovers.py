"""Clearing a stack's directory of what no resource stands for any more.

An engine that was killed while it made something has not noted it, so a later destroy does not ask for its removal.
"""

import json
import subprocess

from components.qemu import disk, network
from components.qemu.files import remove_tree
from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine


def sweep(stack: StackDirectory) -> list[str]:
    """Remove machines, the network, and every disk that was never written to. The names of the disks kept.

    A disk that holds anything is never removed here: it may have been kept on purpose. Nor is a machine with such a
    disk, which is only switched off: where the state was lost, its system disk alone can still open the backups.
    """
    machines = [Machine(stack, path.name) for path in stack.root.glob("machines/*")]
    for machine in machines:
        machine.kill()
    kept = [path.stem for path in sorted(stack.root.glob("disks/*.qcow2")) if not _is_blank(str(path))]
    for machine in machines:
        if machine.definition is None or not set(machine.definition.disks) & set(kept):
            machine.delete()
    network.stop(stack.network)
    for path in (stack.network, *([] if stack.machine_names() else [stack.images])):
        remove_tree(path)
    for path in stack.root.glob("disks/*.qcow2"):
        if path.stem not in kept:
            disk.delete(stack, path.stem)
    for path in stack.root.glob("disks/*.json"):
        if not path.with_suffix(".qcow2").exists():
            path.unlink()
    for path in (stack.root / "machines", stack.root / "disks", stack.root):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return kept


def _is_blank(path: str) -> bool:
    told = subprocess.run(
        ["qemu-img", "map", "--output=json", path], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return told.returncode == 0 and not any(part["data"] for part in json.loads(told.stdout))
