"""One snapshot as the catalogue knows it: what restic wrote about it, in the few fields that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from storage_node.catalogue import tags


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``time`` is restic's text (RFC 3339); ``size`` bytes of the files in it and ``added`` bytes that were new.

    Both sizes are None for a snapshot that was made by restic older than 0.17, which did not note them.
    """

    id: str
    time: str
    hostname: str
    paths: list[str]
    tags: list[str]
    size: int | None
    added: int | None

    def to_json(self) -> list[Any]:
        """The fields as they are cached."""
        return [self.id, self.time, self.hostname, self.paths, self.tags, self.size, self.added]

    @property
    def moment(self) -> tuple[int, int]:
        """Seconds since 1970 and nanoseconds, comparable across time zones."""
        return moment(self.time)


def from_restic(identity: str, value: dict[str, Any]) -> Snapshot:
    """Reads restic's own description of a snapshot; raises ValueError when it is none."""
    try:
        summary = value.get("summary") or {}
        found = Snapshot(
            id=identity,
            time=str(value["time"]),
            hostname=str(value.get("hostname", "")),
            paths=[str(path) for path in value.get("paths") or []],
            tags=[str(tag) for tag in value.get("tags") or []],
            size=summary.get("total_bytes_processed"),
            added=summary.get("data_added_packed"),
        )
        moment(found.time)
    except (KeyError, TypeError, AttributeError):
        raise ValueError from None
    return found


def from_json(fields: list[Any]) -> Snapshot:
    """The reverse of ``to_json``."""
    return Snapshot(*fields)


def moment(time: str) -> tuple[int, int]:
    """Reads a time as Go writes it: up to nine digits of a second, "Z" or an offset. Raises ValueError."""
    base, dot, rest = time.partition(".")
    digits = ""
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        base += rest[len(digits) :]
    parsed = datetime.fromisoformat(base)
    if parsed.tzinfo is None:
        raise ValueError
    seconds = parsed - _EPOCH
    return seconds.days * 86400 + seconds.seconds, int(digits[:9].ljust(9, "0"))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def oldest_first(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """In the order in which they were made."""
    return sorted(snapshots, key=lambda snapshot: (snapshot.moment, snapshot.id))


def names(snapshots: Iterable[Snapshot]) -> list[str]:
    """The names of the add-on's backups among snapshots, in their order."""
    return tags.names(snapshot.tags for snapshot in snapshots)
