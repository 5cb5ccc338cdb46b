"""What the resources of EC2 have in common: defaults, replacements, tags, and a look at what is really there."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews call nothing)

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any, ClassVar

from engine.standins.aws.region import WAIT_SECONDS, Region, explained, is_missing
from engine.standins.diffs import differences, property_of
from engine.standins.resource import Call, CheckFailure, Diff, ProviderError, Resource
from engine.standins.values import UNKNOWN, Properties, Secret, has_secret, plain

_POLL_SECONDS = 1.0

_COUNTER = itertools.count()

Facts = dict[str, Any]


class Ec2Resource(Resource):
    """One type of resource. A subclass says what it needs, and how it is made, looked at, changed and unmade.

    noun: as the plugin's messages have it. required, defaults: inputs. computed: outputs that are known once it is
    made. replacing: property paths whose change needs a new one; all others change in place.
    """

    noun: ClassVar[str]
    required: ClassVar[tuple[str, ...]] = ()
    defaults: ClassVar[Properties] = {}
    computed: ClassVar[tuple[str, ...]] = ()
    replacing: ClassVar[frozenset[str]] = frozenset()
    tagged: ClassVar[bool] = True

    def __init__(self, region: Region) -> None:
        self.region = region

    @property
    def ec2(self) -> Any:
        """EC2 in the provider's region."""
        return self.region.ec2

    def make(self, inputs: Facts) -> str:
        """Make it; returns its id."""
        raise NotImplementedError

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """What EC2 says of it, by output; None when it is gone."""
        raise NotImplementedError

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """Bring it to the new inputs."""

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it."""
        raise NotImplementedError

    def once_free(self, busy: str, delete: Callable[[], object]) -> None:
        """Has ``delete`` ask again for as long as EC2 refuses with the code ``busy``: something still uses it."""

        def gone() -> bool:
            try:
                delete()
            except self.ec2.exceptions.ClientError as error:
                if error.response["Error"]["Code"] != busy:
                    raise
                return False
            return True

        poll(gone, f"deleting {self.noun}: {busy}")

    def replaces(self, path: str, inputs: Facts) -> bool:
        """Whether a change at this path needs a new one."""
        return path in self.replacing or property_of(path) in self.replacing

    def tags(self, inputs: Facts, kind: str) -> list[dict[str, Any]]:
        """The tags for a request that makes something of this kind."""
        given = inputs.get("tags") or {}
        return [{"ResourceType": kind, "Tags": tag_list(given)}] if given else []

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """Fill in the defaults; name what is missing in the plugin's words."""
        absent = [name for name in self.required if inputs.get(name) is None]
        failures = [
            CheckFailure(
                name, f"Missing required argument. The argument {name!r} is required, but no definition was found."
            )
            for name in absent
        ]
        return self.defaults | inputs, failures

    async def diff(self, call: Call, old_inputs: Properties, state: Properties, inputs: Properties) -> Diff:
        """Compare the inputs."""
        old = {key: plain(value) for key, value in old_inputs.items() if not key.startswith("__")}
        new = {key: plain(value) for key, value in inputs.items() if not key.startswith("__")}
        changes = differences(old, new)
        return Diff(changes, {path for path in changes if self.replaces(path, new)})

    async def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make it, and say what came to be."""
        if call.preview:
            return "", inputs | dict.fromkeys(self._made_known(), UNKNOWN)
        values = whole(plain(inputs))
        identifier = await self._do(f"creating {self.noun}", self.make, values)
        return identifier, await self._outputs(identifier, inputs)

    async def read(
        self, call: Call, identifier: str, inputs: Properties, state: Properties
    ) -> tuple[str, Properties, Properties]:
        """What is there now; inputs that it no longer follows show what it follows instead."""
        found = await self._do(
            f"reading {self.noun} ({identifier})", self.look, identifier, whole(plain(state or inputs))
        )
        if found is None:
            return "", {}, {}
        kept = {key: _as_seen(value, found.get(key)) for key, value in inputs.items() if key in found}
        return identifier, inputs | kept, (state or {}) | self._seen(inputs, found, identifier)

    async def update(self, call: Call, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Bring it to the new inputs."""
        if call.preview:
            return state | inputs | ({"tagsAll": inputs.get("tags") or {}} if self.tagged else {})
        old, new = whole(plain(state)), whole(plain(inputs))
        await self._do(f"updating {self.noun} ({identifier})", self._change, identifier, old, new)
        return await self._outputs(identifier, inputs)

    async def delete(self, call: Call, identifier: str, state: Properties) -> None:
        """Delete it; one that is gone already is deleted."""
        await self._do(f"deleting {self.noun} ({identifier})", self._unmake, identifier, whole(plain(state)))

    def _change(self, identifier: str, old: Facts, new: Facts) -> None:
        if self.tagged and (old.get("tags") or {}) != (new.get("tags") or {}):
            retag(self.ec2, self.tag_target(identifier, old), old.get("tags") or {}, new.get("tags") or {})
        self.change(identifier, old, new)

    def tag_target(self, identifier: str, state: Facts) -> str:
        """What EC2 calls the thing that bears the tags."""
        return identifier

    def _unmake(self, identifier: str, state: Facts) -> None:
        try:
            self.unmake(identifier, state)
        except Exception as error:
            if not is_missing(error):
                raise

    async def _outputs(self, identifier: str, inputs: Properties) -> Properties:
        found = await self._do(f"reading {self.noun} ({identifier})", self.look, identifier, whole(plain(inputs)))
        if found is None:
            raise ProviderError(f"reading {self.noun} ({identifier}): couldn't find resource")
        return inputs | self._seen(inputs, found, identifier)

    def _seen(self, inputs: Properties, found: Facts, identifier: str) -> Properties:
        """Outputs as EC2 has them; one whose input is secret stays secret."""
        outputs: Properties = {"id": identifier, "region": self.region.name} | found
        if self.tagged:
            outputs["tagsAll"] = found.get("tags") or {}
        return {key: Secret(value) if has_secret(inputs.get(key)) else value for key, value in outputs.items()}

    def _made_known(self) -> tuple[str, ...]:
        return ("id", *self.computed, *(("tagsAll",) if self.tagged else ()))

    async def _do(self, doing: str, work: Any, *arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await asyncio.to_thread(work, *arguments)
        except (ClientError, BotoCoreError) as error:
            if work == self.look and is_missing(error):
                return None
            raise explained(doing, error) from None


def poll(done: Callable[[], bool], doing: str) -> None:
    """Returns when ``done`` is true. Raises ProviderError where that takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise ProviderError(f"{doing}: timeout while waiting for state to become as wanted")
        time.sleep(_POLL_SECONDS)


def whole(value: Any) -> Any:
    """Numbers come as floats over the wire; EC2 takes none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value


def tag_list(tags: Facts) -> list[dict[str, str]]:
    """Tags as EC2 takes them."""
    return [{"Key": key, "Value": str(value)} for key, value in sorted(tags.items())]


def tags_of(thing: Facts) -> dict[str, str]:
    """Tags as EC2 gives them."""
    return {each["Key"]: each["Value"] for each in thing.get("Tags") or thing.get("TagSet") or []}


def retag(ec2: Any, target: str, old: Facts, new: Facts) -> None:
    """Take away the tags that are no more, and set the others."""
    gone = [{"Key": key} for key in sorted(old.keys() - new.keys())]
    if gone:
        ec2.delete_tags(Resources=[target], Tags=gone)
    if new:
        ec2.create_tags(Resources=[target], Tags=tag_list(new))


def unique(prefix: str) -> str:
    """A name that nothing else has: the prefix, the time, a counter."""
    return f"{prefix}{time.time_ns():020d}{next(_COUNTER):06x}"


def _as_seen(wanted: Any, found: Any) -> Any:
    """An input in its own shape, with what was found in it; a part that was never asked for is left out."""
    value = plain(wanted)
    if isinstance(value, dict) and isinstance(found, dict) and value.keys() <= found.keys():
        # Tags are asked for as a whole; what others have added to them is drift.
        found = found if all(isinstance(item, str) for item in found.values()) else {key: found[key] for key in value}
    return Secret(found) if has_secret(wanted) else found
