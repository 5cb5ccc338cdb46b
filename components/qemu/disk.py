"""Data disks: files that outlive the machines that they are in."""

import hashlib
import json
import subprocess
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from components.qemu import files, process, qmp
from components.qemu.definition import Definition
from components.qemu.layout import StackDirectory

# What virtio can carry (virtio specification: block device, VIRTIO_BLK_ID_BYTES).
SERIAL_BYTES = 20


class DiskError(RuntimeError):
    """A data disk could not be made, grown or read."""


def serial_of(name: str) -> str:
    """The disk's serial, stable for its name: the name itself when it fits, else its beginning and a digest."""
    if len(name) <= SERIAL_BYTES:
        return name
    return f"{name[:11]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def device_of(name: str) -> str:
    """Where a Debian guest finds the disk, whatever order the kernel found its disks in."""
    return f"/dev/disk/by-id/virtio-{serial_of(name)}"


@dataclass(frozen=True)
class Label:
    """What is noted beside a disk: ``instance`` is new with every fresh one, ``owner`` made or adopted it last."""

    instance: str
    owner: str


def label(stack: StackDirectory, name: str) -> Label | None:
    """The disk's label, or None when there is no disk."""
    path = stack.disk(name)
    try:
        return Label(**json.loads(path.with_suffix(".json").read_text())) if path.exists() else None
    except FileNotFoundError:
        return None


def create(stack: StackDirectory, name: str, size_gb: int, owner: str = "") -> Label:
    """Make the disk; one that exists is kept with its data, and grown when it is smaller."""
    path = stack.disk(name)
    before = label(stack, name)
    made = Label(before.instance if before else uuid.uuid4().hex, owner or (before.owner if before else ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path.with_suffix(".json"), json.dumps(asdict(made)) + "\n", 0o644)
    if not path.exists():
        # A half-made file must not be taken for a disk.
        making = path.with_suffix(".making")
        _image_tool("create", "-q", "-f", "qcow2", str(making), f"{size_gb}G")
        making.chmod(0o600)
        making.replace(path)
    grow(stack, name, size_gb)
    return made


def size_gb(stack: StackDirectory, name: str) -> int | None:
    """The disk's size in GiB, or None when there is no such disk."""
    path = stack.disk(name)
    if not path.exists():
        return None
    # Without the lock, since a running machine holds it.
    told = _image_tool("info", "--force-share", "--output=json", str(path))
    size: int = json.loads(told)["virtual-size"]
    return size >> 30


def grow(stack: StackDirectory, name: str, wanted_gb: int) -> None:
    """Make the disk as large as wanted, while its machine runs or not. Raises DiskError when it is larger."""
    present = size_gb(stack, name)
    if present is None:
        raise DiskError(f"disk {name} is gone: {stack.disk(name)} does not exist")
    if present > wanted_gb:
        raise DiskError(f"disk {name} has {present} GB and cannot shrink to {wanted_gb} GB: data could be lost")
    if present == wanted_gb:
        return
    for machine, node in users(stack, name):
        if process.find(machine, process.QEMU) is not None:
            qmp.execute(machine, "block_resize", **{"node-name": node, "size": wanted_gb << 30})
            return
    _image_tool("resize", "-q", "-f", "qcow2", str(stack.disk(name)), f"{wanted_gb}G")


def delete(stack: StackDirectory, name: str) -> None:
    """Delete the disk and its data; nothing happens when it is gone. Raises DiskError when a machine runs with it."""
    for machine, _ in users(stack, name):
        if process.find(machine, process.QEMU) is not None:
            raise DiskError(f"disk {name} is in use by the running machine {machine.name}")
    for suffix in (".qcow2", ".making", ".json"):
        stack.disk(name).with_suffix(suffix).unlink(missing_ok=True)


def users(stack: StackDirectory, name: str) -> list[tuple[Path, str]]:
    """Machines that have the disk, each with QEMU's name for it."""
    found = []
    for machine in map(stack.machine, stack.machine_names()):
        definition = Definition.load(machine)
        if definition is not None and name in definition.disks:
            found.append((machine, f"data{definition.disks.index(name)}"))
    return found


def _image_tool(*arguments: str) -> str:
    done = subprocess.run(
        ["qemu-img", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DiskError(f"qemu-img {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
