"""The first file system of a node: just enough to reach the root disk.

Debian's cloud kernel has ext4 and virtio-pci built in and only ``virtio_blk`` as a module, so a kernel module, a
shell and two small programs of klibc replace a 17 MB initramfs that takes seconds to unpack under emulation.
"""

import lzma
import stat
from pathlib import Path

# The root disk is found by its serial, whatever letter the kernel gave it.
INIT = """#!/bin/sh
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
insmod /virtio_blk.ko
for disk in /sys/block/vd*; do
    read -r serial < "$disk/serial"
    [ "$serial" = root ] && root="/dev/${disk##*/}"
done
mount -t ext4 "$root" /root
umount /sys
exec run-init /root /sbin/init "$@" < /root/dev/console > /root/dev/console 2>&1
"""

PROGRAMS = ("sh", "mount", "umount", "insmod", "run-init")


def _entry(name: str, mode: int, content: bytes, number: int) -> bytes:
    """One member of a "newc" cpio archive (kernel documentation: initramfs buffer format)."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return header + b"\0" * (-len(header) % 4) + content + b"\0" * (-len(content) % 4)


def build(tree: Path) -> bytes:
    """The initramfs for the node system in ``tree``, uncompressed (less than 1 MB)."""
    [module] = tree.glob("usr/lib/modules/*/kernel/drivers/block/virtio_blk.ko.xz")
    [library] = tree.glob("usr/lib/klibc-*.so")
    programs = tree / "usr/lib/klibc/bin"
    directory, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    members: list[tuple[str, int, bytes]] = [
        (name, directory, b"") for name in ("bin", "dev", "root", "sys", "usr", "usr/lib")
    ]
    members += [(f"bin/{name}", program, (programs / name).read_bytes()) for name in PROGRAMS]
    members += [
        (f"usr/lib/{library.name}", program, library.read_bytes()),
        ("virtio_blk.ko", stat.S_IFREG | 0o644, lzma.decompress(module.read_bytes())),
        ("init", program, INIT.encode()),
        ("TRAILER!!!", 0, b""),
    ]
    return b"".join(_entry(*member, number) for number, member in enumerate(members, start=1))
