"""Which process belongs to a directory. A process id alone proves nothing: it may have been given to another since.

Every long-lived process of the driver works inside the directory that it serves and nowhere else, so the kernel's
own record of working directories tells them apart, follows a project that is moved, and cannot go stale.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

QEMU = "qemu-system-x86_64"
SWITCH = "switch.py"

# The kernel marks a working directory that was removed under a process so.
_REMOVED = " (deleted)"


def find(directory: Path, program: str) -> psutil.Process | None:
    """The process that runs ``program`` inside the directory, or None. A removed directory's process counts too."""
    inside = str(directory.resolve())
    for process in psutil.process_iter():
        try:
            working = str(Path(f"/proc/{process.pid}/cwd").readlink()).removesuffix(_REMOVED)
            if working == inside and _program(process.cmdline()) == program:
                return process
        except (OSError, psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None


@contextmanager
def started(words: list[str], directory: Path, log: Path) -> Iterator[Callable[[], bool]]:
    """Start a program that outlives the caller; yields whether it has ended already.

    It works inside the directory, writes to the log, and what it makes is its user's only. It is nobody's child,
    so nobody has to wait for its end.
    """
    # The program holds the other end for as long as it lives.
    alive, held = os.pipe()
    try:
        with log.open("wb") as output:
            subprocess.run(
                ["setsid", "--fork", *words],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(held,),
                umask=0o077,
                check=True,
            )
        os.close(held)
        yield lambda: bool(select.select([alive], [], [], 0)[0])
    finally:
        os.close(alive)


def _program(words: list[str]) -> str:
    """What a command line runs: its first word, or the script that Python was given with ``-I``."""
    named = words[2:3] if words[1:2] == ["-I"] else words[:1]
    return Path(named[0]).name if named else ""


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
