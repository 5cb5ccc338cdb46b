"""Facts that took a while to find out, kept between runs in one small file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from engine.pin import cache_directory


def _read() -> dict[str, Any]:
    try:
        content = json.loads((cache_directory() / "memo.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def recall(key: str) -> Any:
    """What was remembered under the key, or None."""
    return _read().get(key)


def remember(key: str, value: Any) -> None:
    """Keep a value. Two runs at once may lose one of two facts, never damage the file."""
    content = _read() | {key: value}
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=directory, prefix="memo-")
    with os.fdopen(handle, "w") as file:
        json.dump(content, file)
    Path(name).replace(directory / "memo.json")
