"""A storage for the catalogue's tests, its repositories written by restic itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from storage_node import atomic, passwords
from storage_node.catalogue import contract, derivation
from storage_node.catalogue.environments import Catalogue
from storage_node.paths import Paths
from storage_node.restic.command import Repository
from storage_node.restic.crypto import Key
from tests.storage_node import quick_restic

WORD = "the-password-of-the-environments"
DAYS = (1, 2, 3)


def name_of(day: int) -> str:
    """The name of the backup that was made on a day of January."""
    return f"2026-01-{day:02d}_020000_UTC"


class Storage:
    """A storage with repositories that restic itself writes to."""

    def __init__(self, paths: Paths, restic: Path) -> None:
        self.paths = paths
        self._restic = restic
        self._word = paths.root / "word"
        self._word.write_text(WORD)
        self._source = paths.root / "source"
        self._source.mkdir()
        paths.data.mkdir(exist_ok=True)
        self._count = 0
        atomic.private_directory(paths.passwords)

    def restic(self, name: str, *arguments: str) -> str:
        command: list[str | Path] = [
            self._restic,
            "--no-cache",
            "-r",
            self.paths.repository(name),
            "-p",
            self._word,
            *arguments,
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    def make(self, name: str, version: int = 2) -> None:
        self.restic(name, "init", "--repository-version", str(version))
        repository = Repository(self.paths.repository(name), 0)
        # A second key with the same password that costs nothing to derive, so that the tests are quick.
        quick_restic.add_key(repository, WORD, WORD, "backup-storage", "environment")
        quick = next(p for p in (repository.path / "keys").iterdir() if b'"N": 16,' in p.read_bytes())
        for key in (repository.path / "keys").iterdir():
            if key != quick:
                key.unlink()
        passwords.write(self.paths.passwords / name, WORD)

    def copy(self, name: str, new: str) -> None:
        self.put(self.paths.repository(name), new)

    def backup(self, name: str, *tags: str, time: str | None = None) -> str:
        """Makes a snapshot and returns its id."""
        self._count += 1
        (self._source / "file").write_text(str(self._count))
        options = [part for tag in tags for part in ("--tag", tag)]
        options += ["--time", time or f"2026-01-{self._count:02d} 02:00:00"]
        output = self.restic(name, "backup", "--json", str(self._source), *options)
        return str(json.loads(output.splitlines()[-1])["snapshot_id"])

    def one(self, name: str) -> dict[str, Any]:
        return contract.one(Catalogue(self.paths), name)

    def all(self) -> dict[str, Any]:
        return contract.everything(Catalogue(self.paths))

    def by_restic(self, name: str) -> list[str]:
        """What restic itself says, read as the add-on's tags are meant."""
        found = json.loads(self.restic(name, "snapshots", "--json", "--no-lock"))
        tags = [tag for s in sorted(found, key=lambda s: str(s["time"])) for tag in s.get("tags") or []]
        return [tag.split()[0] for tag in tags if tag.split()[-1] in ("manual", "auto") and len(tag.split()) > 1]

    def snapshot(self, name: str, identity: str) -> Path:
        return self.paths.repository(name) / "snapshots" / identity

    def put(self, template: Path, name: str) -> None:
        """Puts a copy of a repository into the storage."""
        shutil.copytree(template, self.paths.repository(name))
        passwords.write(self.paths.passwords / name, WORD)

    def master(self, name: str) -> Key:
        """The repository's master key."""
        return derivation.master_key(Repository(self.paths.repository(name), 0), WORD)[1]
