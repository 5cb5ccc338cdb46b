"""The switch process of a stack: started, found and stopped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from components.qemu import process, switch

START_SECONDS = 20.0


class NetworkError(RuntimeError):
    """The stack's network could not be brought up."""


def is_running(network: Path) -> bool:
    """Whether the switch in this directory is alive."""
    return network.is_dir() and process.find(network, process.SWITCH) is not None


def start(network: Path) -> None:
    """Start the switch unless it runs; it outlives the caller. Raises NetworkError."""
    network.mkdir(parents=True, exist_ok=True)
    log = network / "switch.log"
    deadline = time.monotonic() + START_SECONDS
    while not (is_running(network) and (network / switch.SOCKET).is_socket()):
        # Another caller may start it at the same moment: its own lock lets one of them win.
        with log.open("ab") as output:
            started = subprocess.Popen(
                [sys.executable, "-I", switch.__file__],
                cwd=network,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        while time.monotonic() < deadline and started.poll() is None:
            if (network / switch.SOCKET).is_socket() and is_running(network):
                return
            time.sleep(0.02)
        if time.monotonic() >= deadline:
            said = log.read_text(errors="replace")[-500:]
            raise NetworkError(f"the network's switch in {network} did not start: {said}")
        time.sleep(0.05)


def stop(network: Path) -> None:
    """End the switch. The machines keep running and find the next one."""
    if (running := process.find(network, process.SWITCH)) is not None:
        process.end(running, signal.SIGTERM)
