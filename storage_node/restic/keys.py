"""The key files of a repository: whose they are, and what a password opens.

A key file is plain JSON, named by the SHA-256 of its content; ``username`` and ``hostname`` in it are free labels.
Keys that this program manages carry its labels, so that they can be told from a client's own without a password.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from storage_node.restic import files
from storage_node.restic.command import Repository
from storage_node.restic.crypto import Key, UnauthenticatedError

HOST = "backup-storage"
ENVIRONMENT = "environment"
READER_PREFIX = "reader:"
LARGEST_KEY_FILE = 64 * 1024
# restic calibrates scrypt to 60 MB and half a second (N 32768, r 8, p 1 mostly) and tries 20 keys; a client could
# write key files that ask for any amount of either.
LARGEST_MEMORY = 256 * 1024 * 1024
LARGEST_WORK = 64 * 32768 * 8
MOST_KEYS = 20


@dataclass(frozen=True)
class KeyFile:
    """One file in keys/: its id, its labels, and the parameters of its key derivation."""

    id: str
    username: str
    hostname: str
    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    data: bytes = field(repr=False)

    @property
    def ours(self) -> bool:
        """Whether this program made the key, as far as its label says."""
        return self.hostname == HOST

    @property
    def memory(self) -> int:
        """Bytes that the key derivation needs."""
        return 128 * self.r * (self.n + self.p + 2)

    def open(self, password: str) -> Key | None:
        """The repository's master key, if the password is this key's; costs up to a second of CPU."""
        if self.memory > LARGEST_MEMORY or self.n * self.r * self.p > LARGEST_WORK:
            return None
        derived = hashlib.scrypt(
            password.encode(), salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=self.memory + 2**20, dklen=64
        )
        try:
            value = json.loads(Key(derived[:32], derived[32:48], derived[48:]).open(self.data))
            return Key(*map(base64.b64decode, (value["encrypt"], value["mac"]["k"], value["mac"]["r"])))
        except (UnauthenticatedError, ValueError, KeyError, TypeError):
            return None


def in_repository(repository: Repository) -> list[KeyFile]:
    """The readable key files of a repository; damaged and foreign files in keys/ are passed over."""
    found: list[KeyFile] = []
    with files.directory(repository.path) as top, files.directory("keys", top) as keys:
        for name in sorted(os.listdir(keys)):  # noqa: PTH208 - an open directory
            with contextlib.suppress(files.UntrustworthyError, FileNotFoundError, ValueError, KeyError, TypeError):
                found.append(_parse(name, files.read(name, keys, LARGEST_KEY_FILE)))
    return found


def _parse(name: str, content: bytes) -> KeyFile:
    if hashlib.sha256(content).hexdigest() != name:
        raise ValueError
    value: dict[str, Any] = json.loads(content)
    key = KeyFile(
        id=name,
        username=str(value.get("username", "")),
        hostname=str(value.get("hostname", "")),
        n=int(value["N"]),
        r=int(value["r"]),
        p=int(value["p"]),
        salt=base64.b64decode(value["salt"]),
        data=base64.b64decode(value["data"]),
    )
    if value.get("kdf") != "scrypt" or key.n < 2 or key.n & (key.n - 1) or key.r < 1 or key.p < 1:
        raise ValueError
    return key


def of_user(keys: Iterable[KeyFile], user: str) -> list[KeyFile]:
    """Our keys with one label."""
    return [key for key in keys if key.ours and key.username == user]


def find(keys: Iterable[KeyFile], password: str) -> tuple[KeyFile, Key] | None:
    """The first key that a password opens, with the master key behind it; no more are tried than restic would."""
    for key in itertools.islice(keys, MOST_KEYS):
        master = key.open(password)
        if master is not None:
            return key, master
    return None


def label(repository: Repository, key: KeyFile, user: str) -> KeyFile:
    """Gives a key our labels: a copy under its new name first, then the old file goes.

    At every moment at least one of them is there. restic passes over names such as "…-tmp-…" in keys/.
    """
    with files.directory(repository.path) as top, files.directory("keys", top) as keys:
        value = json.loads(files.read(key.id, keys, LARGEST_KEY_FILE))
        content = json.dumps({**value, "hostname": HOST, "username": user}).encode()
        labelled = _parse(hashlib.sha256(content).hexdigest(), content)
        temporary = f"{labelled.id}-tmp-{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=keys)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400, dir_fd=keys)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(descriptor, repository.uid, repository.uid)
            os.fsync(descriptor)
        os.replace(temporary, labelled.id, src_dir_fd=keys, dst_dir_fd=keys)
        os.fsync(keys)
        os.unlink(key.id, dir_fd=keys)
        os.fsync(keys)
    return labelled


def remove(repository: Repository, unwanted: Iterable[KeyFile]) -> bool:
    """Removes key files by id; returns whether there were any.

    `restic key remove` does the same behind an exclusive lock, for which it would wait until every running backup
    has ended. Whoever has the repository open holds the master key already and never reads its key file again.
    """
    ids = [key.id for key in unwanted]
    if not ids:
        return False
    with files.directory(repository.path) as top, files.directory("keys", top) as keys:
        for name in ids:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=keys)
        os.fsync(keys)
    return True
