"""`command:remote:Command`: a command on another machine, over SSH."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews need nothing of what is imported late)

from __future__ import annotations

from typing import Any

from engine.standins.command.base import (
    STDERR_VARIABLE,
    STDOUT_VARIABLE,
    CommandResource,
    connection_failures,
    unique_id,
    with_defaults,
)
from engine.standins.command.connection import Connected
from engine.standins.command.output import loggers
from engine.standins.command.text import quoted, trimmed
from engine.standins.resource import Call, CheckFailure, ProviderError
from engine.standins.values import Properties, plain

_REFUSED = (
    "Unable to set '{}'. This only works if your SSH server is configured to accept\n"
    "\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, "
    "you could\n\tprefix the command itself with the variables in the form 'VAR=value command'"
)


class RemoteCommand(CommandResource):
    """Runs `create`, `update` and `delete` over SSH, each in a connection of its own."""

    computed = ("stdout", "stderr")

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """Fill in the connection's defaults; the connection is always secret."""
        failures = connection_failures(inputs.get("connection"))
        if failures:
            return inputs, failures
        return inputs | {"connection": with_defaults(inputs["connection"])}, []

    async def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Run `create`, if there is one."""
        if call.preview:
            return "", self.previewed_create(inputs)
        outputs = await self._run(call, plain(inputs.get("create")), inputs, {})
        return unique_id(call.name), inputs | outputs

    async def update(self, call: Call, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Run `update`, or `create` where there is no `update`."""
        if call.preview:
            return self.previewed_update(state, inputs)
        command = inputs["update"] if inputs.get("update") is not None else inputs.get("create")
        return inputs | await self._run(call, plain(command), inputs, state)

    async def delete(self, call: Call, identifier: str, state: Properties) -> None:
        """Run `delete`, if there is one."""
        await self._run(call, plain(state.get("delete")), state, state)

    async def _run(self, call: Call, command: str | None, inputs: Properties, previous: Properties) -> dict[str, Any]:
        before = {name: plain(previous.get(name)) or "" for name in self.computed}
        if command is None:
            return dict(before)
        from engine.standins.command import session

        values = plain(inputs)
        optional = {}
        if values.get("addPreviousOutputInEnv") is not False:
            named = {STDOUT_VARIABLE: before["stdout"], STDERR_VARIABLE: before["stderr"]}
            optional = {name: value for name, value in named.items() if value}
        async with Connected(call, values["connection"]) as connection:
            stdout_log, stderr_log = loggers(call, values.get("logging"))
            try:
                outcome, refused = await session.run(
                    connection,
                    command,
                    values.get("stdin") or "",
                    values.get("environment") or {},
                    optional,
                    stdout_log,
                    stderr_log,
                )
            finally:
                await stdout_log.close()
                await stderr_log.close()
        for name in refused:
            await call.log("WARNING", _REFUSED.format(name), False)
        if outcome.failure:
            shown = outcome.both.decode("utf-8", "replace")
            raise ProviderError(f"{outcome.failure}: running {quoted(command)}:\n{shown}")
        return {"stdout": trimmed(bytes(outcome.stdout)), "stderr": trimmed(bytes(outcome.stderr))}
