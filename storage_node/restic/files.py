"""Reads files that a client of the storage can write, as root, without being led astray.

A repository belongs to its environment's clients, and they may put anything into it: a link to someone else's
files, a pipe that never ends, a file of any size. So no link is followed, only plain files are read, and only
up to a size that the format can need.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

# A snapshot's JSON lists its paths and excludes; a key file has about 500 bytes.
LARGEST_FILE = 16 * 1024 * 1024


class UntrustworthyError(Exception):
    """Something in a repository is not what its format allows."""


@contextlib.contextmanager
def directory(path: Path | str, inside: int | None = None) -> Iterator[int]:
    """Opens a directory (inside another, given as descriptor) without following a link at its last part."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)
    except OSError as error:
        raise UntrustworthyError(f"{os.fspath(path)} cannot be opened as a directory ({error.strerror})") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(name: str, inside: int, largest: int = LARGEST_FILE) -> bytes:
    """The content of a plain file in an open directory; raises FileNotFoundError when it is not there."""
    try:
        descriptor = _open(name, inside)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UntrustworthyError(f"{name} cannot be opened ({error.strerror})") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UntrustworthyError(f"{name} is not a plain file")
        if status.st_size > largest:
            raise UntrustworthyError(f"{name} is larger than {largest} bytes")
        content = bytearray()
        while part := os.read(descriptor, min(largest, max(status.st_size - len(content), 0)) + 1):
            content += part
            if len(content) > largest:
                raise UntrustworthyError(f"{name} is larger than {largest} bytes")
        return bytes(content)
    except OSError as error:
        raise UntrustworthyError(f"{name} cannot be read ({error.strerror})") from None
    finally:
        os.close(descriptor)


def _open(name: str, inside: int) -> int:
    """Opens without following a link, and without waiting for whoever opens a pipe's other end.

    The NFS server lends a file that a client has just written to that client (a delegation). It is called back when
    somebody else opens the file, and only an open that waits gets to see it, so a plain file is waited for.
    """
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
    except BlockingIOError:
        anchor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)
    try:
        if not stat.S_ISREG(os.fstat(anchor).st_mode):
            raise UntrustworthyError(f"{name} is not a plain file")
        # The very file that was looked at, whatever the name stands for by now.
        return os.open(f"/proc/self/fd/{anchor}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(anchor)
