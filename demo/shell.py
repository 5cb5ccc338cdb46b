"""One SSH connection to a machine, kept open, with commands run in order and their results checked."""

import asyncio
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import asyncssh


@dataclass(frozen=True)
class Result:
    """What a command gave."""

    status: int
    output: str
    error: str


class CommandFailedError(AssertionError):
    """A command on a machine ended with another status than it had to."""


class Shell:
    """Runs commands as root on one machine. Use it as a context manager.

    address, port: where SSH answers. host_key: pinned, authorized_keys form. private_key: OpenSSH or PKCS#8 text.
    ``way`` is all four of them.
    """

    def __init__(self, name: str, address: str, port: int, host_key: str, private_key: str) -> None:
        self.name = name
        self.way = (address, port, host_key, private_key)
        self._address, self._port = address, port
        self._known = asyncssh.import_known_hosts(f"[{address}]:{port} {host_key}\n")
        self._key = asyncssh.import_private_key(private_key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"ssh {name}", daemon=True)
        self._connection: asyncssh.SSHClientConnection | None = None

    def __enter__(self) -> "Shell":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def again(self) -> "Shell":
        """A connection of its own to the same machine."""
        return Shell(self.name, *self.way)

    def run(self, command: str, *, stdin: str = "", seconds: float = 600) -> str:
        """Runs a command that must succeed; gives its output. Raises CommandFailedError with what it said."""
        result = self.attempt(command, stdin=stdin, seconds=seconds)
        if result.status != 0:
            raise CommandFailedError(
                f"{self.name}: `{command}` ended with status {result.status}:\n{result.output}{result.error}"
            )
        return result.output

    def attempt(self, command: str, *, stdin: str = "", seconds: float = 600) -> Result:
        """Runs a command that may fail. Raises TimeoutError after ``seconds``."""
        work = asyncio.run_coroutine_threadsafe(self._run(command, stdin, seconds), self._loop)
        return work.result()

    def put(self, path: str, content: str, mode: int = 0o600) -> None:
        """Writes a file that only root can read, or with another ``mode``; the content travels on stdin."""
        self.run(f"umask 077 && mkdir -p $(dirname {path}) && cat >{path} && chmod {mode:o} {path}", stdin=content)

    async def _run(self, command: str, stdin: str, seconds: float) -> Result:
        async with asyncio.timeout(seconds):
            connection = await self._connected()
            # Without text asyncssh would leave the command's input open, and what reads it to its end would wait.
            given: dict[str, Any] = {"input": stdin} if stdin else {"stdin": asyncssh.DEVNULL}
            done = await connection.run(command, **given)
        status = done.exit_status if done.exit_status is not None else -1
        return Result(status, str(done.stdout), str(done.stderr))

    async def _connected(self) -> asyncssh.SSHClientConnection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncssh.connect(
                self._address,
                port=self._port,
                username="root",
                client_keys=[self._key],
                known_hosts=self._known,
                connect_timeout=60,
                # Generous: an emulated machine that restores a backup may leave its SSH server waiting.
                keepalive_interval=60,
                keepalive_count_max=10,
                config=None,
            )
        return self._connection

    async def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()
