"""Resources that are generated once, and again only by a replacement: random values, keys, certificates."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from engine.standins.diffs import differences, property_of
from engine.standins.resource import Call, Diff, ProviderError, Resource
from engine.standins.values import UNKNOWN, Properties, Secret, has_secret, has_unknown, plain


class Generated(Resource):
    """One kind of generated value.

    A subclass says what its inputs default to, which outputs are computed, which of those are secret, and how
    to make them. Any input that changes what was generated replaces the resource; an input spelled out with
    its default value is no change.
    """

    defaults: ClassVar[Properties] = {}
    computed: ClassVar[tuple[str, ...]] = ()
    secret: ClassVar[frozenset[str]] = frozenset()
    no_replace: ClassVar[frozenset[str]] = frozenset()

    def settle(self, inputs: Properties) -> Properties:
        """The inputs with defaults in the place of what is absent."""
        given = {key: value for key, value in inputs.items() if value is not None and not key.startswith("__")}
        return self.defaults | given

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the value from settled, plain inputs; returns its id and the computed outputs. May take time."""
        raise NotImplementedError

    async def diff(self, call: Call, old_inputs: Properties, state: Properties, inputs: Properties) -> Diff:
        """Compare what the new inputs settle to with the state."""
        settled = self.settle(inputs)
        ignored = {"id", *self.computed} - settled.keys()
        old = {key: value for key, value in state.items() if key not in ignored and not key.startswith("__")}
        changes = differences(_opened(old), _opened(settled))
        replaces = {path for path in changes if property_of(path) not in self.no_replace}
        return Diff(changes, replaces)

    async def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Generate it."""
        settled = self.settle(inputs)
        if call.preview or has_unknown(settled):
            return "", settled | {"id": UNKNOWN} | {key: self._marked(key, UNKNOWN) for key in self.computed}
        identifier, made = await asyncio.to_thread(self.generate, plain(settled))
        return identifier, settled | {"id": identifier} | {key: self._marked(key, value) for key, value in made.items()}

    async def update(self, call: Call, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Take over inputs that do not touch what was generated."""
        return state | self.settle(inputs)

    def _marked(self, key: str, value: Any) -> Any:
        return Secret(value) if key in self.secret and not has_secret(value) else value

    async def read(
        self, call: Call, identifier: str, inputs: Properties, state: Properties
    ) -> tuple[str, Properties, Properties]:
        """Nothing outside the state can change it; an import has no state and makes one from the id."""
        if state:
            return identifier, inputs, state
        identifier, outputs = await asyncio.to_thread(self.adopt, identifier)
        state = {key: self._marked(key, value) for key, value in outputs.items()} | {"id": identifier}
        given = {key: value for key, value in state.items() if key not in self.computed and key != "id"}
        return identifier, given, state

    def adopt(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """The id and outputs of a value that was generated elsewhere, from its import id."""
        raise ProviderError("this resource cannot be imported: it has no existence outside the state")


def _opened(properties: Properties) -> Properties:
    """Secrets opened at the top, so that a value made secret later is not a change."""
    return {key: plain(value) for key, value in properties.items()}
