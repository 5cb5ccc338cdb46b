"""The passwords on the node: root-only files, each either the old or the new one, never half."""

from __future__ import annotations

import contextlib
from pathlib import Path

from storage_node import atomic, names
from storage_node.paths import Paths


def read(file: Path) -> str | None:
    """The password in a file, None when there is none."""
    try:
        return file.read_text().removesuffix("\n") or None
    except FileNotFoundError:
        return None


def write(file: Path, password: str) -> None:
    """Stores a password durably, readable by root only."""
    atomic.write_private(file, f"{password}\n")


def active(paths: Paths) -> list[str]:
    """The environments that the node serves, sorted: those with a working password."""
    return _names_in(paths.passwords)


def withdrawn(paths: Paths) -> list[str]:
    """The environments that were taken out of the settings and whose data is kept, sorted."""
    return _names_in(paths.withdrawn)


def readers(paths: Paths, environment: str) -> list[str]:
    """The readers to whom a key of an environment's repository was given, sorted."""
    return _names_in(paths.readers / environment)


def withdraw(paths: Paths, environment: str) -> None:
    """Puts a password away: out of use, but kept so that the repository can be opened when it is put back."""
    atomic.private_directory(paths.withdrawn)
    (paths.passwords / environment).replace(paths.withdrawn / environment)
    atomic.sync_directory(paths.withdrawn)
    atomic.sync_directory(paths.passwords)


def _names_in(directory: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(file.name for file in directory.iterdir() if names.is_environment_name(file.name))
    return []
