"""Which process belongs to a directory. A process id alone proves nothing: it may have been given to another since.

Every long-lived process of the driver works inside the directory that it serves and nowhere else, so the kernel's
own record of working directories tells them apart, follows a project that is moved, and cannot go stale.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

QEMU = "qemu-system"
SWITCH = "switch.py"

# The kernel marks a working directory that was removed under a process so.
_REMOVED = " (deleted)"


def find(directory: Path, program: str) -> psutil.Process | None:
    """The process that runs ``program`` inside the directory, or None. A removed directory's process counts too."""
    inside = str(directory.resolve())
    for process in psutil.process_iter():
        try:
            working = str(Path(f"/proc/{process.pid}/cwd").readlink()).removesuffix(_REMOVED)
            if working == inside and any(program in Path(word).name for word in process.cmdline()[:4]):
                return process
        except (OSError, psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


def open_files(process: psutil.Process) -> list[os.stat_result]:
    """What the process has open, as far as it can be told."""
    found = []
    with suppress(OSError):
        for handle in os.scandir(f"/proc/{process.pid}/fd"):
            with suppress(OSError):
                found.append(handle.stat())
    return found


def wait_gone(process: psutil.Process, seconds: float) -> bool:
    """Whether the process ended within that time. One that only waits to be reaped has ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)


def end(process: psutil.Process, how: signal.Signals = signal.SIGKILL, seconds: float = 30.0) -> None:
    """Signal the process and return when it has ended. Raises RuntimeError when it does not."""
    try:
        process.send_signal(how)
    except psutil.NoSuchProcess:
        return
    if not wait_gone(process, seconds):
        raise RuntimeError(f"process {process.pid} did not end within {seconds:.0f} s of {how.name}")
