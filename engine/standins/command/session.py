"""Running one command over an SSH connection, its output collected in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.constants import EXTENDED_DATA_STDERR

from engine.standins.command.output import LineLogger
from engine.standins.resource import ProviderError

WINDOW = 2 * 1024 * 1024
PACKET = 32 * 1024
STDIN_CHUNK = 256 * 1024
"""Bytes of stdin handed to the channel at a time, so that a large one does not pile up in memory."""

SIGNAL_NUMBERS = {
    "ABRT": 6,
    "ALRM": 14,
    "FPE": 8,
    "HUP": 1,
    "ILL": 4,
    "INT": 2,
    "KILL": 9,
    "PIPE": 13,
    "QUIT": 3,
    "SEGV": 11,
    "TERM": 15,
}


@dataclass
class Outcome:
    """What a finished command left: its outputs, and why it failed (empty: it did not)."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    both: bytearray = field(default_factory=bytearray)
    failure: str = ""


class _Session(asyncssh.SSHClientSession[bytes]):
    def __init__(self, outcome: Outcome, stdout_log: LineLogger, stderr_log: LineLogger) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self._outcome = outcome
        self._logs = {None: stdout_log, EXTENDED_DATA_STDERR: stderr_log}
        self._ended = False

    def data_received(self, data: bytes, datatype: int | None) -> None:
        outcome = self._outcome
        (outcome.stderr if datatype == EXTENDED_DATA_STDERR else outcome.stdout).extend(data)
        outcome.both.extend(data)
        self._logs[datatype].write(data)

    def exit_status_received(self, status: int) -> None:
        self._ended = True
        if status:
            self._outcome.failure = f"Process exited with status {status}"

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._ended = True
        status = 128 + SIGNAL_NUMBERS.get(signal, 0)
        reason = f". Reason was: {msg}" if msg else ""
        self._outcome.failure = f"Process exited with status {status} from signal {signal}{reason}"

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if not self._ended:
            self._outcome.failure = "wait: remote command exited without exit status or exit signal"
        if not self.finished.done():
            self.finished.set_result(None)

    async def feed(self, channel: SSHClientChannel[bytes], data: bytes) -> None:
        """Send stdin, no faster than the other side reads it, and then its end."""
        for start in range(0, len(data), STDIN_CHUNK):
            await self._writable.wait()
            if channel.is_closing():
                return
            channel.write(data[start : start + STDIN_CHUNK])
        if not channel.is_closing():
            channel.write_eof()


class _Channel(SSHClientChannel[bytes]):
    """A session channel that asks for an answer to each environment variable.

    SSH servers refuse variables that AcceptEnv does not name. The plugin fails then, before it runs the
    command; asyncssh by itself never asks.
    """

    def __init__(self, connection: Any, optional: frozenset[str]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(connection, loop, "strict", None, "strict", WINDOW, PACKET)
        self._asked: list[tuple[str, asyncio.Future[bool]]] = []
        self._optional = optional
        self.refused: list[str] = []

    def _send_request(self, request: bytes, *args: bytes, want_reply: bool = False) -> None:
        if request == b"env":
            waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._request_waiters.append(waiter)
            self._asked.append((args[0][4:].decode(), waiter))
            want_reply = True
        super()._send_request(request, *args, want_reply=want_reply)

    async def _make_request(self, request: bytes, *args: bytes) -> bool | None:
        while self._asked:
            name, waiter = self._asked.pop(0)
            if await waiter:
                continue
            self.refused.append(name)
            if name not in self._optional:
                raise ProviderError(f'could not set environment variable "{name}": ssh: setenv failed')
        return await super()._make_request(request, *args)


async def run(
    connection: asyncssh.SSHClientConnection,
    command: str,
    stdin: str,
    environment: Mapping[str, str],
    optional_environment: Mapping[str, str],
    stdout_log: LineLogger,
    stderr_log: LineLogger,
) -> tuple[Outcome, list[str]]:
    """Run the command to its end.

    Returns what it left, and the names of the environment variables that the server refused. A refused
    one that is not optional is a ProviderError, and the command does not run.
    """
    outcome = Outcome()
    session = _Session(outcome, stdout_log, stderr_log)
    channel = _Channel(connection, frozenset(optional_environment))
    variables = {k.encode(): v.encode() for k, v in (environment | optional_environment).items()}  # type: ignore[operator]
    try:
        await channel.create(
            lambda: session, command, None, variables, False, None, None, {}, False, None, None, False, False
        )
        feeding = asyncio.ensure_future(session.feed(channel, stdin.encode()))
        await session.finished
        feeding.cancel()
    except asyncssh.ChannelOpenError as error:
        raise ProviderError(f"ssh: {error.reason}") from None
    finally:
        channel.abort()
    return outcome, channel.refused
