"""restic's small files (config, snapshots): sealed JSON, compressed since repository format 2.

restic's design document, "Unpacked Data Format": the first byte of the plain text is '{' or '[' for plain JSON, 2 for
zstd. The file's name is the SHA-256 of its content, which tells damage from a wrong key.
"""

from __future__ import annotations

import json
from typing import Any

from storage_node.restic import zstd
from storage_node.restic.crypto import Key, UnauthenticatedError
from storage_node.restic.files import UntrustworthyError

LARGEST_PLAIN = 32 * 1024 * 1024
_COMPRESSED = 2


def decode(key: Key, sealed: bytes, name: str) -> dict[str, Any]:
    """Opens one such file; ``name`` is for the error. Raises UntrustworthyError when it cannot be what it should be."""
    try:
        plain = key.open(sealed)
        if plain[:1] == bytes([_COMPRESSED]):
            plain = zstd.decompress(plain[1:], LARGEST_PLAIN)
        value = json.loads(plain)
    except (UnauthenticatedError, zstd.DamagedError, ValueError):
        raise UntrustworthyError(f"{name} is damaged") from None
    if not isinstance(value, dict):
        raise UntrustworthyError(f"{name} is damaged")
    return value
