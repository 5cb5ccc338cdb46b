"""`command:local:Command` and `command:local:run`: commands on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from engine.standins.command.base import STDERR_VARIABLE, STDOUT_VARIABLE, CommandResource, unique_id
from engine.standins.command.files import archive_of, assets_of
from engine.standins.command.output import LineLogger, loggers
from engine.standins.command.text import quoted, trimmed
from engine.standins.resource import Call, ProviderError
from engine.standins.values import Properties, Secret, has_secret, plain

CHUNK = 64 * 1024
SHELL = ["/bin/sh", "-c"]


def _failure(status: int) -> str:
    """A process's end in Go's words; empty for success."""
    if status < 0:
        return f"signal: {signal.strsignal(-status) or -status}".lower()
    return f"exit status {status}" if status else ""


def _environment(values: dict[str, Any], before: dict[str, str]) -> dict[str, str]:
    environment = os.environ | (values.get("environment") or {})
    if values.get("addPreviousOutputInEnv") is not False:
        named = {STDOUT_VARIABLE: before.get("stdout"), STDERR_VARIABLE: before.get("stderr")}
        environment |= {name: value for name, value in named.items() if value}
    return environment


async def _collect(reader: asyncio.StreamReader | None, into: list[bytearray], log: LineLogger) -> None:
    while reader and (chunk := await reader.read(CHUNK)):
        for buffer in into:
            buffer.extend(chunk)
        log.write(chunk)


async def _feed(writer: asyncio.StreamWriter | None, text: str) -> None:
    if writer is None:
        return
    try:
        writer.write(text.encode())
        await writer.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the command ended without reading all of it, which is its right
    finally:
        writer.close()


async def run(call: Call, command: str, values: dict[str, Any], before: dict[str, str]) -> dict[str, Any]:
    """Run the command; returns its outputs, or raises ProviderError with what it printed."""
    arguments = [*(values.get("interpreter") or SHELL), command]
    directory = Path(values.get("dir") or ".").resolve()
    stdin = values.get("stdin") or ""
    out, err, both = bytearray(), bytearray(), bytearray()
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=directory,
            env=_environment(values, before),
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        where = f"chdir {directory}" if not directory.is_dir() else f"fork/exec {arguments[0]}"
        reason = (error.strerror or str(error)).lower()
        raise ProviderError(f"{where}: {reason}: running {quoted(command)}:\n") from None
    stdout_log, stderr_log = loggers(call, values.get("logging"))
    work = [_collect(process.stdout, [out, both], stdout_log), _collect(process.stderr, [err, both], stderr_log)]
    if stdin:
        work.append(_feed(process.stdin, stdin))
    try:
        await asyncio.gather(*work)
        failure = _failure(await process.wait())
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
        raise
    finally:
        await stdout_log.close()
        await stderr_log.close()
    if failure:
        shown = both.decode("utf-8", "replace")
        raise ProviderError(f"{failure}: running {quoted(command)}:\n{shown}")
    outputs: dict[str, Any] = {"stdout": trimmed(bytes(out)), "stderr": trimmed(bytes(err))}
    if values.get("assetPaths") is not None:
        outputs["assets"] = assets_of(directory, values["assetPaths"])
    if values.get("archivePaths") is not None:
        outputs["archive"] = archive_of(directory, values["archivePaths"])
    return outputs


class LocalCommand(CommandResource):
    """Runs `create`, `update` and `delete` on this machine."""

    computed = ("stdout", "stderr")

    async def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Run `create`, if there is one."""
        if call.preview:
            return "", self.previewed_create(inputs)
        outputs = await self._run(call, inputs.get("create"), inputs, {})
        return unique_id(call.name), inputs | outputs

    async def update(self, call: Call, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Run `update`, or `create` where there is no `update`."""
        if call.preview:
            return self.previewed_update(state, inputs)
        command = inputs["update"] if inputs.get("update") is not None else inputs.get("create")
        return inputs | await self._run(call, command, inputs, state)

    async def delete(self, call: Call, identifier: str, state: Properties) -> None:
        """Run `delete`, if there is one."""
        await self._run(call, state.get("delete"), state, state)

    async def _run(self, call: Call, command: Any, inputs: Properties, previous: Properties) -> dict[str, Any]:
        before = {name: plain(previous.get(name)) or "" for name in self.computed}
        if command is None:
            return dict(before)
        return await run(call, plain(command), plain(inputs), before)


async def run_function(call: Call, inputs: Properties) -> Properties:
    """`command:local:run`: run once, at every preview and update; secret if any of its inputs is."""
    values = plain(inputs)
    outputs = await run(call, values["command"], values, {})
    if has_secret(inputs):
        outputs = {name: Secret(value) for name, value in outputs.items()}
    return inputs | outputs
