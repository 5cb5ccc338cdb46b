"""How old each environment's newest backup is: for monitoring, as JSON, as text and as Prometheus metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from storage_node import node, tables, usage
from storage_node.catalogue.environments import Catalogue
from storage_node.errors import NodeError
from storage_node.paths import Paths


def collect(
    paths: Paths, max_age_hours: float, environments: Iterable[str] | None = None, *, now: float | None = None
) -> dict[str, Any]:
    """Age, number and size of the backups of these environments, or of all.

    An environment is stale when its newest backup is older than asked or there is none; "healthy" says that none is
    stale and none unreadable. Times are UTC, ages in seconds, sizes in bytes (None where the disk keeps no account).
    """
    moment = time.time() if now is None else now
    catalogue = Catalogue(paths)
    cluster = node.cluster_of(paths)
    found: dict[str, dict[str, Any]] = {}
    for name, contents in catalogue.read_all(catalogue.names() if environments is None else environments):
        if isinstance(contents, NodeError):
            found[name] = {"error": str(contents), "stale": True}
            continue
        snapshots = contents.snapshots()
        newest = snapshots[-1].moment[0] if snapshots else None
        age = None if newest is None else max(0, int(moment - newest))
        found[name] = {
            "newest": None if newest is None else _text(newest),
            "ageSeconds": age,
            "backups": len(snapshots),
            "usageBytes": usage.of_environment(paths, name, cluster),
            "stale": age is None or age > max_age_hours * 3600,
        }
        if contents.damaged:
            found[name]["error"] = f"{', '.join(contents.damaged)}."
    bad = [name for name, entry in found.items() if entry["stale"] or "error" in entry]
    return {
        "healthy": not bad,
        "checkedAt": _text(moment),
        "maxAgeHours": max_age_hours,
        "stale": [name for name, entry in found.items() if entry["stale"]],
        "environments": found,
    }


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(found: dict[str, Any]) -> str:
    """The same for people, the stale ones first."""
    rows = [["ENVIRONMENT", "NEWEST", "AGE", "BACKUPS", "USED", "STATE"]]
    ordered = sorted(found["environments"].items(), key=lambda item: (not item[1]["stale"], item[0]))
    for name, entry in ordered:
        state = entry.get("error") or ("STALE" if entry["stale"] else "fresh")
        age = entry.get("ageSeconds")
        rows.append(
            [
                *(name, entry.get("newest") or "never", "-" if age is None else f"{age / 3600:.1f} h"),
                *(str(entry.get("backups", "?")), tables.size(entry.get("usageBytes")), tables.printable(state)),
            ]
        )
    return tables.columns(rows)


def metrics(found: dict[str, Any], status: dict[str, Any]) -> str:
    """The Prometheus text format, for node_exporter's textfile collector; times in seconds since 1970."""
    return "".join(f"{line}\n" for line in _metrics(found, status))


def _metrics(found: dict[str, Any], status: dict[str, Any]) -> Iterator[str]:
    entries = found["environments"].items()
    checked = datetime.fromisoformat(found["checkedAt"]).timestamp()
    ages = {n: checked - e["ageSeconds"] for n, e in entries if e.get("ageSeconds") is not None}
    yield from _family("newest_snapshot_timestamp_seconds", "Time of the newest snapshot.", ages)
    yield from _family("snapshots", "Number of snapshots.", {n: e["backups"] for n, e in entries if "backups" in e})
    used = {n: e["usageBytes"] for n, e in entries if e.get("usageBytes") is not None}
    yield from _family("usage_bytes", "Bytes on the data disk.", used)
    readable = {n: int("error" not in e) for n, e in entries}
    yield from _family("repository_readable", "Whether the repository could be read.", readable)
    for name, text, value in (
        ("size_bytes", "Size of the data disk.", status["data"]["totalBytes"]),
        ("free_bytes", "Free bytes on the data disk.", status["data"]["freeBytes"]),
        ("healthy", "Whether the node has no problem.", int(status["healthy"])),
        ("checked_timestamp_seconds", "When these figures were taken.", checked),
    ):
        yield from (_head(name, text), f"backup_storage_{name} {value:.0f}")


def _family(name: str, text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield _head(name, text)
    for environment, value in values.items():
        yield f'backup_storage_{name}{{environment="{environment}"}} {value:.0f}'


def _head(name: str, text: str) -> str:
    return f"# HELP backup_storage_{name} {text}\n# TYPE backup_storage_{name} gauge"
