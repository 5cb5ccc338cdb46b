"""Locks of the file backend whose holder was killed: they would stop every later command of the stack."""

import json
import platform

import psutil

from operate.project import PROJECT_NAME, file_backend


def release_dead(stack: str) -> list[int]:
    """Removes the locks of processes on this computer that have ended; gives their process ids.

    A lock that another computer took, or a process that lives, stays. Only the file backend has such locks.
    """
    place = file_backend()
    if place is None:
        return []
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
