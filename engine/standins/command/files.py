"""The files that a local command leaves, picked by the plugin's path patterns."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from engine.standins.values import ARCHIVE, ASSET, SIGNATURE

_SPECIAL = re.compile(r"\*\*|\*|\?|\[!?[^]]+\]|\{[^}]*\}|\\.|.", re.DOTALL)


def _expression(pattern: str) -> str:
    """A path pattern as a regular expression: `*` stays within one directory, `**` does not."""
    parts = []
    for piece in _SPECIAL.findall(pattern):
        if piece == "**":
            parts.append(".*")
        elif piece == "*":
            parts.append("[^/]*")
        elif piece == "?":
            parts.append("[^/]")
        elif piece.startswith("[") and len(piece) > 1:
            parts.append(piece.replace("[!", "[^", 1))
        elif piece.startswith("{") and len(piece) > 1:
            parts.append("(?:" + "|".join(_expression(item) for item in piece[1:-1].split(",")) + ")")
        else:
            parts.append(re.escape(piece.removeprefix("\\") or piece))
    return "".join(parts)


def assets_of(root: Path, patterns: list[str]) -> dict[str, Any]:
    """The files that the patterns pick, in their order; a pattern that begins with `!` takes away again."""
    rules = [(p.startswith("!"), re.compile(_expression(p.removeprefix("!")), re.DOTALL)) for p in patterns]
    assets: dict[str, Any] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        picked = False
        for excludes, expression in rules:
            if expression.fullmatch(name):
                picked = not excludes
        if picked:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assets[name] = {SIGNATURE: ASSET, "path": str(path), "hash": digest}
    return assets


def archive_of(root: Path, patterns: list[str]) -> dict[str, Any]:
    """The same files as one archive."""
    return {SIGNATURE: ARCHIVE, "assets": assets_of(root, patterns)}
