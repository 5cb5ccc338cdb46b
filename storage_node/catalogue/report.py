"""`storage-node backups`: the catalogue for people and programs, with filters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from storage_node import tables
from storage_node.catalogue import snapshot, tags
from storage_node.catalogue.environments import Catalogue
from storage_node.catalogue.snapshot import Snapshot
from storage_node.errors import NodeError

Filter = Callable[[Snapshot], bool]

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def when(text: str, now: float | None = None) -> tuple[int, int]:
    """Reads "36h", "7d" (so long ago) or a date or time, UTC unless it says otherwise; raises NodeError."""
    ago = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if ago:
        moment = (time.time() if now is None else now) - int(ago[1]) * _UNITS[ago[2]]
        return int(moment), 0
    for suffix in ("", "Z", "T00:00:00Z"):
        try:
            return snapshot.moment(text + suffix)
        except ValueError:
            continue
    raise NodeError(
        f"{text!r} is no time: give a date (2026-01-31), a time (2026-01-31T02:00:00Z) or an age (36h, 7d)."
    )


def chosen(since: str | None, until: str | None, tag: str | None, kind: str | None) -> Filter:
    """Combines the filters; ``tag`` is a whole tag or a backup's name, ``kind`` manual or auto."""
    earliest = when(since) if since else None
    latest = when(until) if until else None

    def fits(found: Snapshot) -> bool:
        backups = [backup for backup in map(tags.parse, found.tags) if backup]
        return (
            (earliest is None or found.moment >= earliest)
            and (latest is None or found.moment <= latest)
            and (tag is None or tag in found.tags or any(backup.name == tag for backup in backups))
            and (kind is None or any(backup.kind == kind for backup in backups))
        )

    return fits


def collect(catalogue: Catalogue, asked: Iterable[str], fits: Filter, *, details: bool) -> dict[str, Any]:
    """Backups by environment, all environments when none is named; unreadable ones have an "error"."""
    there = catalogue.names()
    wanted = list(asked) or there
    found: dict[str, Any] = {
        name: {"error": f"There is no environment {name}."} for name in wanted if name not in there
    }
    for name, contents in catalogue.read_all([name for name in wanted if name in there]):
        if isinstance(contents, NodeError):
            found[name] = {"error": str(contents)}
            continue
        rows = [row for item in contents.snapshots() if fits(item) for row in _rows(item, details=details)]
        found[name] = {"backups": rows}
        if contents.damaged:
            found[name]["error"] = f"{', '.join(contents.damaged)}."
    return {"environments": {name: found[name] for name in wanted}}


def _rows(item: Snapshot, *, details: bool) -> Iterator[dict[str, Any]]:
    """One row for each of the add-on's tags; a snapshot without any is one row without a name."""
    backups: list[tags.Backup | None] = [backup for backup in map(tags.parse, item.tags) if backup]
    for backup in backups or [None]:
        row: dict[str, Any] = {
            "name": backup.name if backup else None,
            "kind": backup.kind if backup else None,
            "time": item.time,
            "host": item.hostname,
            "sizeBytes": item.size,
        }
        if details:
            row |= {
                "commit": backup.commit if backup else None,
                "paths": item.paths,
                "tags": item.tags,
                "addedBytes": item.added,
                "snapshot": item.id,
            }
        yield row


def table(found: dict[str, Any], *, details: bool) -> str:
    """The same for people."""
    heading = ["ENVIRONMENT", "BACKUP", "KIND", "TIME", "HOST", "SIZE"]
    rows = [heading + (["NEW DATA", "SNAPSHOT", "PATHS"] if details else [])]
    errors: list[str] = []
    for name, entry in found["environments"].items():
        if "error" in entry:
            errors.append(f"! {name}: {entry['error']}")
        for row in entry.get("backups", ()):
            cells = [name, row["name"] or "-", row["kind"] or "-", row["time"][:19], row["host"]]
            cells.append(tables.size(row["sizeBytes"]))
            if details:
                cells += [tables.size(row["addedBytes"]), row["snapshot"][:8], " ".join(row["paths"])]
            rows.append([tables.printable(cell) for cell in cells])
    return "\n".join([tables.columns(rows), *errors])
