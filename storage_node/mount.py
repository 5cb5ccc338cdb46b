"""The data disk at its place: mounted now, and at every boot before anything can write below it.

A systemd mount unit by UUID does it at boot. The directory beneath is immutable, so that nothing can be written
into it while the disk is not mounted, and the NFS server requires the mount.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from storage_node import atomic, services, system
from storage_node.errors import NodeError
from storage_node.paths import Paths

# uqnoenforce keeps account of each user's blocks: one user per environment makes its usage one look-up.
# nofail lets a machine whose disk is gone boot far enough to be repaired over SSH.
OPTIONS = "noatime,nodev,nosuid,noexec,uqnoenforce"

# What a brick has acknowledged must survive its power: GlusterFS notes no names that one copy lost, and would go on to
# list a directory without a backup. XFS alone writes names and attributes seconds later; wsync writes each at once.
# The kernel's NFS server asks for that by itself.
BRICK_OPTIONS = f"{OPTIONS},wsync"

# linux/fs.h: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IMMUTABLE_FL
_GETFLAGS, _SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10

_UNIT = """\
[Unit]
Description=Backup storage: data disk

[Mount]
What=/dev/disk/by-uuid/{filesystem}
Where={where}
Type=xfs
Options={options},nofail

[Install]
WantedBy=multi-user.target
"""

_NFS_DROP_IN = """\
[Unit]
RequiresMountsFor={where}
"""


@dataclass(frozen=True)
class Mounted:
    """One line of /proc/self/mountinfo that matters: the device's number and the type."""

    device: str
    kind: str


def unit_name(where: str) -> str:
    """The name that systemd gives the mount unit of a path (systemd.unit(5), "string escaping")."""
    escaped = "".join(_escape(c, first=i == 0) for i, c in enumerate(where.strip("/").replace("/", "\n")))
    return f"{escaped}.mount"


def _escape(character: str, *, first: bool) -> str:
    if character == "\n":
        return "-"
    if character.isascii() and (character.isalnum() or character in ":_" or (character == "." and not first)):
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def write_units(paths: Paths, where: str, filesystem: str, options: str, *, nfs: bool = True) -> bool:
    """Writes the mount unit, enables it, and ties the kernel's NFS server to it where that is what serves.

    Returns whether a unit changed that systemd may know already: only that takes a daemon-reload.
    """
    content = _UNIT.format(filesystem=filesystem, where=where, options=options)
    changed = services.install_unit(paths, unit_name(where), content)
    if nfs:
        drop_in = paths.units / "nfs-server.service.d" / "backup-storage.conf"
        atomic.write(drop_in, _NFS_DROP_IN.format(where=where))
    return changed


def is_mounted(paths: Paths, where: str, device: Path) -> bool:
    """Whether the device is mounted at ``where``; raises NodeError when something else is."""
    there = mounted_at(paths.at(where))
    if there is not None and there.device != _device_number(device):
        raise NodeError(f"Another file system ({there.kind}) is mounted at {where}; unmount it first.")
    return there is not None


def mount_now(paths: Paths, where: str, device: Path, options: str) -> None:
    """Mounts the device without systemd: for a machine that runs none."""
    system.must(
        ["mount", "-t", "xfs", "-o", options, str(device), str(paths.at(where))], f"Mounting the data disk at {where}"
    )


def close_to_users(place: Path) -> None:
    """Makes the root of the mounted disk enterable but not listable.

    An environment's user that forges a file handle must not see its neighbours' names.
    """
    root = place.stat()
    if root.st_mode & 0o7777 != 0o711 or root.st_uid:
        os.chown(place, 0, 0)
        place.chmod(0o711)


def prepare_mountpoint(place: Path, where: str) -> None:
    """Makes the empty directory beneath a mount and protects it from being written to."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(place.iterdir()):
        raise NodeError(
            f"{where} on the system disk is not empty, and mounting the data disk over it would hide its files; "
            "move them away, then run `pulumi up` again."
        )
    _make_immutable(place)


def _make_immutable(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Not every file system has such flags; there the order at boot has to do.
        with contextlib.suppress(OSError):
            flags = struct.unpack("i", fcntl.ioctl(descriptor, _GETFLAGS, struct.pack("i", 0)))[0]
            if not flags & _IMMUTABLE:
                fcntl.ioctl(descriptor, _SETFLAGS, struct.pack("i", flags | _IMMUTABLE))
    finally:
        os.close(descriptor)


def mounted_at(place: Path, table: Path = Path("/proc/self/mountinfo")) -> Mounted | None:
    """What is mounted at a path, the topmost if several; None when nothing is."""
    wanted = os.fspath(place)
    found = None
    for line in table.read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if _unescape(fields[4]) == wanted:
            found = Mounted(device=fields[2], kind=right.split()[0])
    return found


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _device_number(device: Path) -> str:
    try:
        number = device.stat().st_rdev
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NodeError(f"The data disk {device} is gone.") from None
        raise
    return f"{os.major(number)}:{os.minor(number)}"


def require(place: Path, where: str) -> None:
    """Raises NodeError unless a file system of its own is mounted at ``where``: nothing may be written beneath."""
    if mounted_at(place) is None:
        raise NodeError(
            f"The data disk is not mounted at {where}, so nothing was written; see `systemctl status "
            f"{unit_name(where)}` on this node, or run `pulumi refresh` and `pulumi up`."
        )
