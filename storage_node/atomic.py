"""Files that are either the old ones or the new ones, never half of each, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: Path, content: bytes | str, mode: int = 0o644) -> bool:
    """Writes a file with the given permissions and owner root, durably; parents are made when missing.

    Returns whether anything changed: a file that already has this content and mode is left alone.
    The file is never readable with wider permissions than ``mode``, not even for a moment.
    """
    data = content.encode() if isinstance(content, str) else content
    if _same(path, data, mode):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)
    return True


def _same(path: Path, data: bytes, mode: int) -> bool:
    try:
        if path.is_symlink() or (path.stat().st_mode & 0o7777) != mode:
            return False
        return path.read_bytes() == data
    except OSError:
        return False


def write_private(path: Path, content: bytes | str) -> bool:
    """Writes a file that only root may read, in a directory that only root may list."""
    private_directory(path.parent)
    return write(path, content, 0o600)


def private_directory(path: Path) -> None:
    """Makes a directory (and its missing parents) that only root may enter."""
    if not path.parent.exists():
        private_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def remove(path: Path) -> bool:
    """Removes a file durably; returns whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_directory(path.parent)
    return True


def sync_directory(path: Path) -> None:
    """Makes renames and removals in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(path: Path, target: str) -> bool:
    """Makes a symbolic link point to ``target``; returns whether anything changed."""
    if path.is_symlink() and str(path.readlink()) == target:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(path)
    return True
