"""The program puts itself in its place, and knows whether it is the one that the stack means."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

from storage_node import atomic
from storage_node.errors import NodeError
from storage_node.paths import Paths

# The names that existing backup add-ons call over SSH.
_SCRIPTS = {
    "/root/getBackups.sh": 'exec /usr/local/sbin/storage-node catalogue one "$@"',
    "/root/getBackupsAllEnvs.sh": 'exec /usr/local/sbin/storage-node catalogue all "$@"',
}


def running_file() -> Path:
    """The zipapp that this process was started from."""
    return Path(sys.argv[0]).resolve()


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
    _unpack(paths)
    for name, line in _SCRIPTS.items():
        atomic.write(paths.at(name), f"#!/bin/sh\n{line}\n", 0o700)
    return changed


def library_name(program: Path) -> str:
    """The directory of the unpacked program: bound to this very file, so a replaced one never meets old modules."""
    status = program.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def _unpack(paths: Paths) -> None:
    """Unpacks the installed zipapp: modules in files are compiled once, those in a zip at every call."""
    target = paths.library / library_name(paths.program)
    if not target.is_dir():
        temporary = paths.library / f".new-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        with zipfile.ZipFile(paths.program) as archive:
            archive.extractall(temporary, [n for n in archive.namelist() if n.startswith("storage_node/")])
        temporary.rename(target)
    for other in paths.library.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
