"""What the command resources have in common: defaults, comparison, ids, and outputs before an update."""

from __future__ import annotations

import secrets
from typing import Any

from engine.standins.command.endpoint import DEFAULTS
from engine.standins.diffs import differences
from engine.standins.resource import Call, CheckFailure, Diff, Resource
from engine.standins.values import UNKNOWN, Properties, Unknown, is_archive, is_asset, plain
from engine.standins.values import Secret as SecretValue

STDOUT_VARIABLE, STDERR_VARIABLE = "PULUMI_COMMAND_STDOUT", "PULUMI_COMMAND_STDERR"


def unique_id(prefix: str) -> str:
    """An id that no other resource has: the prefix and eight random hexadecimal digits."""
    return prefix + secrets.token_hex(4)


def with_defaults(connection: Any) -> Any:
    """A connection with the plugin's defaults filled in, secret as a whole."""
    value = plain(connection)
    if isinstance(value, dict):
        value = DEFAULTS | {key: item for key, item in value.items() if item is not None}
        if isinstance(value.get("proxy"), dict):
            proxy = {key: item for key, item in value["proxy"].items() if item is not None}
            value["proxy"] = DEFAULTS | proxy
    return SecretValue(value)


def connection_failures(connection: Any) -> list[CheckFailure]:
    """What a connection lacks."""
    value = plain(connection)
    if value is None:
        return [CheckFailure("connection", "missing required field 'connection'")]
    failures = []
    # A connection to a machine that is about to change is not known yet in a preview.
    proxy = value.get("proxy") if isinstance(value, dict) else None
    for path, part in (("connection", value), ("connection.proxy", proxy)):
        if isinstance(part, dict) and part.get("host") is None:
            failures.append(CheckFailure(f"{path}.host", "missing required field 'host'"))
    return failures


class CommandResource(Resource):
    """A resource whose changed inputs run it again in place, and whose changed triggers replace it."""

    computed: tuple[str, ...] = ()

    async def diff(self, call: Call, old_inputs: Properties, state: Properties, inputs: Properties) -> Diff:
        """Every changed input is an update; `triggers` is a replacement."""
        changes = differences(
            {key: value for key, value in old_inputs.items() if not key.startswith("__")},
            {key: value for key, value in inputs.items() if not key.startswith("__")},
        )
        replaces = {path for path in changes if path == "triggers" or path.startswith("triggers[")}
        return Diff(changes, replaces)

    def previewed_create(self, inputs: Properties) -> Properties:
        """The outputs of a create that has not run: the inputs, and unknowns."""
        return inputs | dict.fromkeys(self.computed, UNKNOWN)

    def previewed_update(self, state: Properties, inputs: Properties) -> Properties:
        """The outputs of an update that has not run: unknown once an input that the state has changes."""
        changed = any(
            isinstance(value, Unknown) or (key in state and differences(state[key], value))
            for key, value in inputs.items()
        )
        kept = {key: UNKNOWN if changed else state.get(key, "") for key in self.computed}
        return inputs | kept


__all__ = [
    "STDERR_VARIABLE",
    "STDOUT_VARIABLE",
    "CommandResource",
    "connection_failures",
    "is_archive",
    "is_asset",
    "unique_id",
    "with_defaults",
]
