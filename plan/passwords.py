"""The repositories' passwords, derived from the one secret root of a stack.

A password follows from the root and from what it is for, so it needs no state of its own: five hundred environments
cost as much as one, an environment that is put back has its password back, and only a raised generation makes
another. Without the root a password tells nothing of any other (HMAC-SHA-256 is a pseudo-random function).

The derivation is HKDF-Expand of RFC 5869 with SHA-256. Its key is the root's text; its ``info`` is a JSON array, in
which no two purposes, names or generations can be confused; 64 bytes of it, read as one big-endian number, are written
with 40 letters and digits. More than 250 bits are to spare, so that every character is as likely as any other.

It must never change: the repositories' keys would all turn at once, and kept backups of a withdrawn environment would
open no more. ``_VERSION`` is there for a second derivation beside this one.
"""

import hashlib
import hmac
import json
import string
from collections.abc import Mapping

from plan.environments import Environment

#: Characters of the root, letters and digits: 381 bits in exactly one block of SHA-256, so HMAC takes it as it is.
ROOT_LENGTH = 64

#: 40 letters and digits carry 238 bits, and survive every shell and file format that they are pasted into.
LENGTH = 40

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase

_VERSION = "backup-storage password 1"
_EXPANDED_BYTES = 64


def password_key(environment: str, *, reader: str | None = None) -> str:
    """The name of one password: an environment's own, or that of a reader of its repository.

    No environment name holds a '/', so no two passwords share a name.
    """
    return f"{environment}/password" if reader is None else f"{environment}/readers/{reader}"


def derive_all(root: str, environments: Mapping[str, Environment]) -> dict[str, str]:
    """Every password that these environments need, by ``password_key``."""
    found = {}
    for name, environment in environments.items():
        found[password_key(name)] = derive(root, name, environment.generation)
        for reader in environment.readers:
            found[password_key(name, reader=reader)] = derive(root, name, environment.generation, reader=reader)
    return found


def derive(root: str, environment: str, generation: int, *, reader: str | None = None) -> str:
    """The password of an environment's repository, or the one that a reader of it has, in one generation.

    Raises ValueError where the root is too short to be one.
    """
    if len(root) < ROOT_LENGTH:
        raise ValueError(f"the secret root has {len(root)} characters; it must have {ROOT_LENGTH} or more")
    purpose = ["environment", environment] if reader is None else ["reader", environment, reader]
    number = int.from_bytes(_expand(root.encode(), json.dumps([_VERSION, *purpose, generation]).encode()))
    characters = []
    for _ in range(LENGTH):
        number, index = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[index])
    return "".join(characters)


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869, section 2.3)."""
    made = block = b""
    for count in range(1, _EXPANDED_BYTES // hashlib.sha256().digest_size + 1):
        block = hmac.digest(key, block + info + bytes([count]), "sha256")
        made += block
    return made
