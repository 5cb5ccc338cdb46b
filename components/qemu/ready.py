"""Waiting until a machine answers by SSH with the host key that it was given."""

import asyncio
import socket
import time
from collections.abc import Callable

import asyncssh

# A boot under emulation takes 40 s on a free computer, a few times that on a busy one.
READY_SECONDS = 600.0

_POLL_SECONDS = 0.3
_PROGRESS_SECONDS = 15.0


class NotReadyError(RuntimeError):
    """The machine did not come to answer by SSH."""


def wait(
    address: str,
    port: int,
    host_public_key: str,
    alive: Callable[[], bool],
    progress: Callable[[str], None],
    seconds: float = READY_SECONDS,
) -> None:
    """Return when the SSH server at this address has proved to own the key. Raises NotReadyError.

    ``alive`` tells whether the machine still runs, so that a dead one is not waited for.
    """
    started = time.monotonic()
    told = started
    while (silence := _silence(address, port, host_public_key, _patience(time.monotonic() - started))) is not None:
        now = time.monotonic()
        if not alive():
            raise NotReadyError("it stopped while it was booting")
        if now - started > seconds:
            raise NotReadyError(f"its SSH server did not answer within {seconds:.0f} s: {silence}")
        if now - told > _PROGRESS_SECONDS:
            told = now
            progress(f"booting: {now - started:.0f} s")
        time.sleep(_POLL_SECONDS)
    progress(f"SSH answers after {time.monotonic() - started:.0f} s")


def _patience(elapsed: float) -> float:
    """How long to wait for a banner. Until the guest's network is up a connection is answered by nobody and is
    tried again ever more slowly, so a fresh one soon finds out sooner; a slow computer needs longer to greet.
    """
    return max(1.0, elapsed / 20)


def _silence(address: str, port: int, host_public_key: str, seconds: float) -> str | None:
    """What keeps the server from proving that it owns the key, in words; None once it has.

    A machine that boots may start its server anew, and whoever it has just greeted is cut off.
    """
    try:
        if not _greets(address, port, seconds):
            return "no greeting came"
        _check_key(address, port, host_public_key)
    except (OSError, asyncssh.ConnectionLost) as error:
        # A deadline that passed is an OSError, too, and has no words.
        return f"{error}" or type(error).__name__
    return None


def _greets(address: str, port: int, seconds: float) -> bool:
    """Whether an SSH banner comes. QEMU accepts the connection long before the guest does."""
    with socket.create_connection((address, port), timeout=seconds) as connection:
        connection.settimeout(seconds)
        return connection.recv(16).startswith(b"SSH-")


def _check_key(address: str, port: int, host_public_key: str) -> None:
    async def fetch() -> asyncssh.SSHKey | None:
        return await asyncio.wait_for(
            asyncssh.get_server_host_key(address, port, server_host_key_algs=["ssh-ed25519"], config=None), 60.0
        )

    try:
        found = asyncio.run(fetch())
    except asyncssh.ConnectionLost:
        raise
    except asyncssh.Error as error:
        raise NotReadyError(f"its SSH server greeted and then failed: {error}") from error
    wanted = asyncssh.import_public_key(host_public_key)
    if found is None or found.public_data != wanted.public_data:
        raise NotReadyError(f"the SSH server at {address}:{port} has another host key than the machine was given")
