"""Locks of the file backend whose holder was killed: they would stop every later command of the stack."""

import json
import os
import platform
from pathlib import Path
from urllib.parse import unquote

import psutil

from operate.project import PROJECT_NAME


def release_dead(stack: str) -> list[int]:
    """Removes the locks of processes on this computer that have ended; gives their process ids.

    A lock that another computer took, or a process that lives, stays. Only the file backend has such locks.
    """
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    if not url.startswith("file://"):
        return []
    place = Path(unquote(url.removeprefix("file://"))).expanduser()
    released = []
    for path in (place / ".pulumi/locks/organization" / PROJECT_NAME / stack).glob("*.json"):
        lock = json.loads(path.read_text(encoding="utf-8"))
        if lock["hostname"] == platform.node() and not _holds(lock["pid"]):
            path.unlink(missing_ok=True)
            released.append(int(lock["pid"]))
    return released


def _holds(pid: int) -> bool:
    """Whether that process is alive and Pulumi: the number may have passed on to another program."""
    try:
        process = psutil.Process(pid)
        return process.name().startswith("pulumi") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
