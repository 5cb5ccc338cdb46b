"""The program puts itself in its place, and knows whether it is the one that the stack means."""

from __future__ import annotations

import hashlib
from pathlib import Path

from storage_node import atomic, library
from storage_node.errors import NodeError
from storage_node.paths import Paths

# The names that existing backup add-ons call over SSH.
_SCRIPTS = {
    "/root/getBackups.sh": 'exec /usr/local/sbin/storage-node catalogue one "$@"',
    "/root/getBackupsAllEnvs.sh": 'exec /usr/local/sbin/storage-node catalogue all "$@"',
}


def digest(file: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise NodeError(f"The node program {file} cannot be read: {error.strerror}.") from None


def verify(expected: str, file: Path) -> None:
    """Raises NodeError unless the running program is the one that the stack was planned with."""
    if digest(file) != expected:
        raise NodeError(
            f"The node program {file} on this node is not the version that this stack uses; run `pulumi up`, which "
            "brings the right one."
        )


def install(paths: Paths, source: Path) -> bool:
    """Installs the program, its library and the two scripts; returns whether the program changed."""
    changed = atomic.write(paths.program, source.read_bytes(), 0o755)
    paths.library.mkdir(parents=True, exist_ok=True)
    library.unpack(paths.program, paths.library)
    for name, line in _SCRIPTS.items():
        atomic.write(paths.at(name), f"#!/bin/sh\n{line}\n", 0o700)
    return changed
