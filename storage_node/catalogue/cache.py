"""What the catalogue remembers: a convenience that may vanish, be damaged or be written by two at once.

One file for each environment, replaced as a whole and bound to checksums and a format; whatever does not fit is as
good as absent. A snapshot's file never changes, so what was read of it stays true while its change time stands.

The repository's master key is kept here as well, readable by root only, like the password beside which it gives
nothing away: deriving it from the password is what makes restic slow, and it never changes.

The file has three lines: format and checksums; what a list of names needs; the snapshots themselves.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage_node import atomic
from storage_node.catalogue.listing import Listing
from storage_node.paths import Paths

if TYPE_CHECKING:
    from storage_node.restic.crypto import Key

FORMAT = "storage-node-catalogue-1"


class Remembered:
    """What is known of one repository.

    ``config`` is the change time of the config file that ``master`` (the key's three parts in base64) was proved to
    open, ``key`` the id of the key file that the password opened. ``stamps`` are change times by snapshot id;
    ``details`` holds each snapshot's fields by id, still as JSON text until they are asked for.
    """

    __slots__ = ("config", "details", "key", "master", "names", "stamps")

    def __init__(self) -> None:
        self.config = 0
        self.key = ""
        self.master: list[str] = []
        self.names: list[str] = []
        self.stamps: dict[str, int] = {}
        self.details = b"{}"

    def fits(self, found: Listing) -> bool:
        """Whether a repository is still exactly as remembered."""
        return self.config == found.config and self.key in found.keys and self.stamps == found.snapshots


def load(file: str) -> Remembered:
    """What a file of the cache remembers; nothing when it is absent or not to be trusted."""
    found = Remembered()
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head, quick, details = _read(descriptor).split(b"\n", 2)
        finally:
            os.close(descriptor)
        if head != _head(quick, details):
            return found
        value: dict[str, Any] = json.loads(quick)
        found.config, found.key, found.master = value["config"], value["key"], value["master"]
        found.names, found.stamps, found.details = value["names"], value["stamps"], details
    except (OSError, ValueError, KeyError, TypeError):
        return Remembered()
    return found


def _read(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def store(paths: Paths, environment: str, found: Remembered) -> None:
    """Remembers. Failing to is no error: the answer is right without."""
    value = {"config": found.config, "key": found.key, "master": found.master}
    quick = json.dumps({**value, "names": found.names, "stamps": found.stamps}, separators=(",", ":")).encode()
    target = file(paths, environment)
    draft = target.with_name(f".{environment}.{os.getpid()}")
    # Not made durable on purpose: after a power cut the checksum tells, and a thousand of these would take seconds.
    with contextlib.suppress(OSError):
        if not target.parent.is_dir():
            atomic.private_directory(target.parent)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            output.write(b"\n".join((_head(quick, found.details), quick, found.details)))
        draft.replace(target)


def learn(paths: Paths, environment: str, key: str, master: Key) -> None:
    """Remembers a master key that a step has in its hands anyway, so that the catalogue never has to derive it."""
    known = load(str(file(paths, environment)))
    # No config file has this change time: the key is proved on the config when it is first used.
    known.config, known.key, known.master = 0, key, encoded(master)
    store(paths, environment, known)


def encoded(master: Key) -> list[str]:
    """A master key as it is remembered."""
    return [base64.b64encode(part).decode() for part in (master.encrypt, master.mac_k, master.mac_r)]


def forget(paths: Paths, environment: str) -> None:
    """Removes what is remembered, the master key above all: for environments that are withdrawn or purged."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        file(paths, environment).unlink()


def file(paths: Paths, environment: str) -> Path:
    """Where an environment's part of the cache is."""
    return directory(paths) / environment


def directory(paths: Paths) -> Path:
    """Where the catalogue's cache is."""
    return paths.cache / "catalogue"


def present(paths: Paths) -> set[str]:
    """The environments of which something is remembered."""
    with contextlib.suppress(OSError):
        return set(os.listdir(directory(paths)))  # noqa: PTH208 - a thousand Paths would take longer than the rest
    return set()


def _head(quick: bytes, details: bytes) -> bytes:
    return f"{FORMAT} {zlib.crc32(quick):08x} {zlib.crc32(details):08x}".encode()
