"""Runs restic on a repository as the repository's own user, and turns its failures into sentences.

Exit statuses (restic's documentation, "Exit codes"): 10 no repository, 11 locked, 12 wrong password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage_node import system
from storage_node.errors import NodeError

NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12
# Key derivation takes a second, 20 under emulation; a lock may be held by a client's prune for minutes.
TIMEOUT_SECONDS = 900.0
LOCK_WAIT = "3m"


class WrongPasswordError(NodeError):
    """The password opens no key of the repository."""


@dataclass(frozen=True)
class Repository:
    """A repository's directory and the user that owns it."""

    path: Path
    uid: int

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.path.name


def run(
    repository: Repository, arguments: Sequence[str], password: str, more_secrets: Mapping[str, str] | None = None
) -> str:
    """Runs one restic command and returns its stdout; raises NodeError in words, never with a secret."""
    result = system.run(
        ["restic", "--no-cache", "--repo", str(repository.path), "--password-file", "{password}", *arguments],
        secrets={"password": password, **(more_secrets or {})},
        user=repository.uid,
        timeout=TIMEOUT_SECONDS,
        keeps_lock=True,
    )
    if result.status == 0:
        return result.stdout
    what = f"restic {arguments[0]}"
    if result.status == WRONG_PASSWORD:
        raise WrongPasswordError(f"{what}: the password opens no key of {repository.path}.")
    if result.status == LOCKED:
        raise NodeError(f"{what}: {repository.path} stayed locked for {LOCK_WAIT} by a client (a prune?).")
    if "no space left on device" in result.stderr.lower() or "quota exceeded" in result.stderr.lower():
        raise NodeError(f"{what}: the data disk is full. Raise sizeGb or remove old backups.")
    if result.status == NO_REPOSITORY:
        raise NodeError(f"{what}: {repository.path} holds no restic repository.")
    raise NodeError(f"{what} failed on {repository.path}: {result.last_words.rstrip('.')}.")


def init(repository: Repository, password: str) -> None:
    """Makes a repository in an empty directory."""
    run(repository, ["init", "--quiet"], password)


def add_key(repository: Repository, password: str, new_password: str, host: str, user: str) -> None:
    """Adds a key for a further password; restic itself opens the repository with it before it returns.

    Only a client's exclusive lock can be in the way. Stale ones (their process long dead) are taken off first.
    """
    if _has_locks(repository):
        run(repository, ["unlock", "--quiet"], password)
    run(
        repository,
        [
            *("key", "add", "--quiet", "--retry-lock", LOCK_WAIT, "--host", host, "--user", user),
            *("--new-password-file", "{new}"),
        ],
        password,
        {"new": new_password},
    )


def _has_locks(repository: Repository) -> bool:
    with os.scandir(repository.path / "locks") as entries:
        return any(True for _ in entries)


def version() -> str:
    """The version of the installed restic, such as "0.18.0"."""
    words = system.must(["restic", "version"], "Asking restic for its version").split()
    return words[1] if len(words) > 1 else "unknown"
