"""Showing a command's output in the engine's log while the command runs."""

from __future__ import annotations

import asyncio

from engine.standins.resource import Call


class LineLogger:
    """Sends whole lines to the engine's log, in order, without holding up the command."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._rest = b""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._sender = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while (line := await self._lines.get()) is not None:
            await self._call.log("INFO", line, True)

    def write(self, data: bytes) -> None:
        """Take the next bytes of the output."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line.removesuffix(b"\r").decode("utf-8", "replace"))

    async def close(self) -> None:
        """Send what is left, and wait until all of it has arrived."""
        if self._rest:
            self.write(b"\n")
        self._lines.put_nowait(None)
        await self._sender


class Silence(LineLogger):
    """Shows nothing."""

    def __init__(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        """Drop the bytes."""

    async def close(self) -> None:
        """Nothing is waiting."""


def loggers(call: Call, logging: str | None) -> tuple[LineLogger, LineLogger]:
    """Where stdout and stderr go, by the command's `logging` input (absent: both are shown)."""
    shown = LineLogger(call) if logging != "none" else Silence()
    silence = Silence()
    return (
        shown if logging in (None, "stdout", "stdoutAndStderr") else silence,
        shown if logging in (None, "stderr", "stdoutAndStderr") else silence,
    )
