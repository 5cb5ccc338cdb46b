"""The add-on's tags: "<name> <commit> <manual|auto>" on a snapshot names a backup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("manual", "auto")


@dataclass(frozen=True)
class Backup:
    """What one tag says: the backup's name, the application's commit (may be empty) and what started it."""

    name: str
    commit: str
    kind: str


def parse(tag: str) -> Backup | None:
    """Reads an add-on's tag; None for any other."""
    words = tag.split()
    if len(words) < 2 or words[-1] not in KINDS:
        return None
    return Backup(name=words[0], commit=" ".join(words[1:-1]), kind=words[-1])


def names(tags_of_snapshots: Iterable[Iterable[str]]) -> list[str]:
    """The backups' names, each once, in the order of the snapshots; several tags name several backups."""
    found: dict[str, None] = {}
    for tags in tags_of_snapshots:
        for tag in tags:
            backup = parse(tag)
            if backup is not None:
                found.setdefault(backup.name)
    return list(found)
