"""The data disk: found by its stable id, formatted only when it is blank, grown online.

The file system's UUID is chosen by the operator's side, so that a disk can be told to be ours, and an interrupted
format too: mkfs.xfs writes the superblock first, marked "in progress" (xfs_sb, sb_uuid at 32 and sb_inprogress at 126).
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from storage_node import system, waiting
from storage_node.errors import NodeError, from_os

MIB = 1024 * 1024
# A hot-plugged or just attached disk shows up within seconds; cloud volumes have been seen to take a minute.
DEVICE_WAIT_SECONDS = 120.0
# How long after the operator's side grew the disk the kernel may still show the old size.
GROWTH_WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
LABEL = "backups"  # at most 12 characters
# mkfs.xfs leaves up to 16 MiB unused rather than make a last allocation group smaller than that.
UNUSED_TAIL = 32 * MIB
# _IOR('X', 100, struct xfs_fsop_geom_v1), xfs_fs.h: block size first, data blocks at 32, 112 bytes in all.
XFS_IOC_FSGEOMETRY_V1 = 0x80705864
_GEOMETRY_V1_LENGTH = 112

_SB_LENGTH = 512
_SB_UUID = slice(32, 48)
_SB_INPROGRESS = 126


@dataclass(frozen=True)
class Found:
    """What a device holds: ``blank``, ``ours``, ``unfinished`` (our own interrupted format) or ``foreign``."""

    kind: str
    description: str


def wait_for_device(device: Path) -> Path:
    """Waits for the device node and returns the real one behind the stable id."""
    waiting.until(
        lambda: None if device.exists() else f"The data disk {device} is not there",
        DEVICE_WAIT_SECONDS,
        POLL_SECONDS,
        "check that it is attached",
    )
    return device.resolve()


def wait_for_size(device: Path, size_gb: int) -> int:
    """Waits until the device is as large as asked and returns its size in bytes."""

    def missing() -> str | None:
        size = size_of(device)
        if size >= size_gb * 10**9:
            return None
        return f"The data disk {device} has {size} bytes, less than the {size_gb} GB of sizeGb"

    then = "grow the disk on the platform, then run `pulumi up` again"
    waiting.until(missing, GROWTH_WAIT_SECONDS, POLL_SECONDS, then)
    return size_of(device)


def size_of(device: Path) -> int:
    """The size of a block device (or of a file standing in for one) in bytes."""
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


def inspect(device: Path, filesystem: str) -> Found:
    """Tells what a device holds, reading only."""
    size = size_of(device)
    try:
        with device.open("rb", buffering=0) as file:
            first = _read(file.fileno(), 0, min(size, MIB))
            last = _read(file.fileno(), max(0, size - MIB), min(size, MIB))
    except OSError as error:
        raise from_os(f"The data disk {device} cannot be read", error) from None
    if first[:4] == b"XFSB" and first[_SB_UUID] == bytes.fromhex(filesystem.replace("-", "")):
        if first[_SB_INPROGRESS]:
            return Found("unfinished", "an interrupted format of this node's own file system")
        return Found("ours", "this node's own file system")
    signature = _signature(device)
    if signature:
        return Found("foreign", signature)
    if any(first) or any(last):
        return Found("foreign", "data without a known signature")
    return Found("blank", "nothing")


def _read(descriptor: int, offset: int, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = os.pread(descriptor, length - len(parts), offset + len(parts))
        if not part:
            break
        parts += part
    return bytes(parts)


def _signature(device: Path) -> str:
    """What libblkid sees, in words; empty when it sees nothing (status 2)."""
    result = system.run(["blkid", "-p", "-o", "export", str(device)])
    if result.status == 2:
        return ""
    if result.status:
        raise NodeError(f"The data disk {device} cannot be examined: {result.last_words}.")
    tags = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    kind = tags.get("TYPE") or tags.get("PTTYPE") or "unknown"
    noun = "partition table" if "TYPE" not in tags and "PTTYPE" in tags else "file system"
    label = f" labelled {tags['LABEL']!r}" if "LABEL" in tags else ""
    identity = f", UUID {tags['UUID']}" if "UUID" in tags else ""
    return f"a {kind} {noun}{label}{identity}"


def prepare(device: Path, filesystem: str, name: str | None = None) -> bool:
    """Makes sure that the device holds this node's file system; returns whether it was formatted now.

    ``name`` is the stable name by which the stack knows the device.

    Raises NodeError, and leaves the device as it is, when it holds anything that was not put there by this program.
    """
    found = inspect(device, filesystem)
    if found.kind == "ours":
        return False
    if found.kind == "foreign":
        raise NodeError(refusal(found, name or str(device), filesystem))
    if not stat.S_ISBLK(device.stat().st_mode) and not stat.S_ISREG(device.stat().st_mode):
        raise NodeError(f"{device} is not a block device; device in the specification has to name the data disk.")
    # -K: a discard of a whole thin disk can take minutes and gains nothing on a blank one.
    overwrite = ["-f"] if found.kind == "unfinished" else []
    system.must(
        ["mkfs.xfs", "-q", "-K", *overwrite, "-L", LABEL, "-m", f"uuid={filesystem}", str(device)],
        f"Formatting the data disk {device}",
    )
    if inspect(device, filesystem).kind != "ours":
        raise NodeError(f"The data disk {device} was formatted but does not read back; the disk may be faulty.")
    return True


def refusal(found: Found, device: str, filesystem: str) -> str:
    """Why a disk with something foreign on it is not taken, and what to do."""
    return (
        f"The data disk {device} already holds {found.description}; it was left untouched. This node expects a "
        f"blank disk or its own XFS file system {filesystem}: attach the right disk, or, if what is on it may be "
        f"lost, empty it with `wipefs -a {device}` and `blkdiscard -z {device}`, then run `pulumi up` again."
    )


def grow(mountpoint: Path, device: Path) -> bool:
    """Grows the mounted file system to its device, online; returns whether there was anything to grow."""
    before = _filesystem_bytes(mountpoint)
    if size_of(device) - before < UNUSED_TAIL:
        return False
    system.must(["xfs_growfs", "-d", str(mountpoint)], f"Growing the file system on {device}")
    if _filesystem_bytes(mountpoint) <= before:
        raise NodeError(f"The file system on {device} did not grow though the disk has; see `dmesg` on this node.")
    return True


def _filesystem_bytes(mountpoint: Path) -> int:
    """The size of the data section; statvfs would leave out the log, whose size varies."""
    descriptor = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
    try:
        geometry = fcntl.ioctl(descriptor, XFS_IOC_FSGEOMETRY_V1, bytes(_GEOMETRY_V1_LENGTH))
    finally:
        os.close(descriptor)
    block_size, data_blocks = struct.unpack_from("=I28xQ", geometry)
    return int(block_size) * int(data_blocks)
