"""How much each environment uses: XFS keeps account by user, and each environment is a user of its own."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from pathlib import Path

from storage_node.cluster.membership import Cluster
from storage_node.paths import Paths

# linux/dqblk_xfs.h and quota.h: QCMD(Q_XGETQUOTA = ('X' << 8) + 3, USRQUOTA = 0); blocks of 512 bytes, whatever
# the file system's own block size.
_Q_XGETQUOTA_USER = ((ord("X") << 8) + 3) << 8
_BASIC_BLOCK = 512
# struct fs_disk_quota: version, flags, field mask, id, four limits of 8 bytes, then the blocks in use.
_BLOCKS_AT = 40
_LENGTH = 112


def of_directory(directory: Path) -> int | None:
    """Bytes that belong to the user who owns a directory; None where the file system keeps no account."""
    try:
        status = directory.stat()
    except FileNotFoundError:
        return None
    device = _device(os.major(status.st_dev), os.minor(status.st_dev))
    return of_user(device, status.st_uid) if device else None


@functools.cache
def _device(major: int, minor: int) -> Path | None:
    link = Path(f"/sys/dev/block/{major}:{minor}")
    return Path("/dev") / link.resolve().name if link.exists() else None


def of_environment(paths: Paths, environment: str, cluster: Cluster | None) -> int | None:
    """Bytes that an environment's backups take, before copies and redundancy; None where no account is kept.

    On a cluster the node's own brick keeps it: a whole copy, or one fragment of as many as carry data.
    """
    directory = paths.repository(environment)
    if cluster is None:
        return of_directory(directory)
    try:
        uid, brick = directory.stat().st_uid, paths.at(paths.brick_mount).stat().st_dev
    except FileNotFoundError:
        return None
    device = _device(os.major(brick), os.minor(brick))
    used = of_user(device, uid) if device else None
    return None if used is None else used * cluster.data_bricks


def of_user(device: Path, uid: int) -> int | None:
    """Bytes on the disk that belong to a user; None where the file system keeps no account."""
    buffer = ctypes.create_string_buffer(_LENGTH)
    if _library().quotactl(_Q_XGETQUOTA_USER, os.fsencode(device), uid, buffer) != 0:
        # A user without a single block has no record yet.
        return 0 if ctypes.get_errno() == 2 else None
    return int(struct.unpack_from("=Q", buffer.raw, _BLOCKS_AT)[0]) * _BASIC_BLOCK


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.quotactl.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    return library


def by_walking(directory: Path) -> int:
    """Bytes below a directory, found by looking at every file: for file systems without accounts."""
    total = 0
    pending = [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * _BASIC_BLOCK
        except FileNotFoundError:
            continue  # a client pruned it meanwhile
    return total
