"""Answers for people: aligned columns, sizes in the units that one says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def size(count: int | None) -> str:
    """Bytes in decimal units, as disks are sold: 1.5 GB."""
    if count is None:
        return "?"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def printable(text: str) -> str:
    """Text from a repository, which its clients write, without what could command a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as left-aligned columns with two spaces between; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def status(found: dict[str, Any]) -> str:
    """The status object as a table."""
    data = found["data"]
    lines = [
        f"{found['node']}: {'healthy' if found['healthy'] else 'NOT HEALTHY'}",
        *(f"  ! {problem}" for problem in found["problems"]),
        f"data: {size(data['freeBytes'])} free of {size(data['totalBytes'])}"
        if data["mounted"]
        else "data: not mounted",
        "services: " + ", ".join(f"{name} {state}" for name, state in found["services"].items()),
        f"exports: {found['exports']}",
    ]
    if found.get("rebootRequired"):
        lines.append("a reboot is due to finish an update")
    rows = [["ENVIRONMENT", "USED"]]
    rows += [[name, size(entry["usageBytes"])] for name, entry in sorted(found["environments"].items())]
    return "\n".join([*lines, "", columns(rows)])
