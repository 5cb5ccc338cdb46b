"""The switch process of a stack: started, found and stopped."""

import signal
import socket
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil

from components.qemu import files, process, sockets, switch

START_SECONDS = 20.0

OWNER = "owner"


class NetworkError(RuntimeError):
    """The stack's network could not be brought up."""


def is_running(network: Path) -> bool:
    """Whether the switch in this directory is alive."""
    return network.is_dir() and process.find(network, process.SWITCH) is not None


def claim(network: Path) -> str:
    """Take the network over; what says so. Whoever claimed it last may end it."""
    network.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    files.write(network / OWNER, mark, 0o644)
    return mark


def owner(network: Path) -> str | None:
    """Who claimed the network last, or None when nobody did."""
    try:
        return (network / OWNER).read_text()
    except FileNotFoundError:
        return None


def _answers(network: Path) -> bool:
    """Whether somebody holds the switch's socket. Its file alone may be what a killed switch left."""
    try:
        sockets.connect(network, switch.SOCKET, socket.SOCK_DGRAM, START_SECONDS).close()
    except OSError:
        return False
    return True


def _is_outdated(running: psutil.Process) -> bool:
    try:
        return running.create_time() < Path(switch.__file__).stat().st_mtime
    except psutil.NoSuchProcess:
        return False


def start(network: Path) -> None:
    """Start the switch unless it runs; it outlives the caller. Raises NetworkError.

    One that is older than its program makes way for a new one: it may not know what the machines send now.
    """
    network.mkdir(parents=True, exist_ok=True)
    if (running := process.find(network, process.SWITCH)) is not None and _is_outdated(running):
        process.end(running, signal.SIGTERM)
    log = network / "switch.log"
    deadline = time.monotonic() + START_SECONDS
    while not (is_running(network) and _answers(network)):
        # Another caller may start it at the same moment: its own lock lets one of them win.
        words = [sys.executable, "-I", switch.__file__]
        with process.started(words, network, log) as has_ended:
            while time.monotonic() < deadline and not has_ended():
                if _answers(network):
                    return
                time.sleep(0.02)
        if time.monotonic() >= deadline:
            said = log.read_text(errors="replace")[-500:]
            raise NetworkError(f"the network's switch in {network} did not start: {said}")
        time.sleep(0.05)


def share(network: Path, address: str, shared: Sequence[str]) -> None:
    """Note which addresses the machine with this one may take besides; its port follows when it next connects."""
    files.write(network / f"{address}{switch.SHARED_SUFFIX}", "".join(f"{each}\n" for each in shared), 0o644)


def stop(network: Path) -> None:
    """End the switch. The machines keep running and find the next one."""
    if (running := process.find(network, process.SWITCH)) is not None:
        process.end(running, signal.SIGTERM)
