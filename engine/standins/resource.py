"""What a plugin offers: resources and functions, apart from how the engine talks to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from engine.standins.values import Properties

Log = Callable[[str, str, bool], Awaitable[None]]


class ProviderError(Exception):
    """A failure to report to the user; its text is the whole message."""


@dataclass(frozen=True)
class CheckFailure:
    """One input that cannot be accepted."""

    property: str
    reason: str


@dataclass
class Diff:
    """What changed (kind by property path) and which of those paths need a replacement."""

    changes: dict[str, str] = field(default_factory=dict)
    replaces: set[str] = field(default_factory=set)


@dataclass
class Call:
    """What every operation on a resource may need to know.

    `log(severity, text, ephemeral)` writes to the engine's log; an ephemeral line shows only while the
    operation runs.
    """

    urn: str
    log: Log
    preview: bool = False

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.rpartition("::")[2]


class Resource:
    """One type of resource. Every method may be called many times side by side."""

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """The inputs with defaults filled in, and what is wrong with them."""
        return inputs, []

    async def diff(self, call: Call, old_inputs: Properties, state: Properties, inputs: Properties) -> Diff:
        """What an update from the old inputs to the new ones would change."""
        raise NotImplementedError

    async def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make the resource; returns its id and its outputs."""
        raise NotImplementedError

    async def read(
        self, call: Call, identifier: str, inputs: Properties, state: Properties
    ) -> tuple[str, Properties, Properties]:
        """The resource as it is now: id, inputs and outputs; an empty id when it is gone."""
        return identifier, inputs, state

    async def update(self, call: Call, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Bring the resource to the new inputs; returns its outputs."""
        raise NotImplementedError

    async def delete(self, call: Call, identifier: str, state: Properties) -> None:
        """Unmake the resource."""


Function = Callable[[Call, Properties], Awaitable[Properties]]


@dataclass(frozen=True)
class Provider:
    """What one plugin offers: resources and functions by their type token."""

    name: str
    version: str
    resources: Mapping[str, Resource]
    functions: Mapping[str, Function] = field(default_factory=dict)
    configure: Callable[[Properties], None] | None = None
    """Takes the configuration of the provider's instance; ProviderError where it cannot work with it."""
