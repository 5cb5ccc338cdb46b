"""Comparing two versions of a resource's inputs, property by property, as the engine itself does it."""

from __future__ import annotations

from typing import Any

from engine.standins.values import Secret, is_archive, is_asset

Path = tuple[str | int, ...]

ADD, DELETE, UPDATE = "ADD", "DELETE", "UPDATE"


def render_path(path: Path) -> str:
    """A property path in Pulumi's notation: `connection.host`, `triggers[0]`, `environment["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part or any(character in part for character in '."[] '):
            text += '["' + part.replace('"', '\\"') + '"]'
        else:
            text += f".{part}" if text else part
    return text


def property_of(path: str) -> str:
    """The top-level property that a path is in."""
    return path.partition(".")[0].partition("[")[0]


def _same_content(old: Any, new: Any) -> bool:
    """Whether two assets or archives hold the same content; the engine has hashed both."""
    return bool(old.get("hash")) and old.get("hash") == new.get("hash")


def differences(old: Any, new: Any, path: Path = ()) -> dict[str, str]:
    """The kind of change (ADD, DELETE, UPDATE) by property path.

    A secret is compared as a whole, so that no part of it shows as a path. Absent and null are the same.
    """
    if (is_asset(old) and is_asset(new)) or (is_archive(old) and is_archive(new)):
        return {} if _same_content(old, new) else {render_path(path): UPDATE}
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, str] = {}
        for key in old.keys() | new.keys():
            found |= differences(old.get(key), new.get(key), (*path, key))
        return found
    if isinstance(old, list) and isinstance(new, list):
        found = {}
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            found |= differences(before, after, (*path, index))
        return found
    if old is None and new is None:
        return {}
    if old is None:
        return {render_path(path): ADD}
    if new is None:
        return {render_path(path): DELETE}
    if isinstance(old, Secret) and isinstance(new, Secret):
        return {render_path(path): UPDATE} if differences(old.value, new.value) else {}
    return {} if old == new else {render_path(path): UPDATE}
