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
    """Remove every machine, the network, and every disk that was never written to. The names of the disks kept.

    A disk that holds anything is never removed here: it may have been kept on purpose.
    """
    for path in stack.root.glob("machines/*"):
        Machine(stack, path.name).delete()
    network.stop(stack.network)
    for path in (stack.network, stack.images):
        remove_tree(path)
    kept = []
    for path in sorted(stack.root.glob("disks/*.qcow2")):
        if _is_blank(str(path)):
            disk.delete(stack, path.stem)
        else:
            kept.append(path.stem)
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
