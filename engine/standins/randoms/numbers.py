"""`RandomId`, `RandomBytes` and `RandomUuid`."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Any, ClassVar

from engine.standins.generated import Generated
from engine.standins.resource import Call, CheckFailure, ProviderError
from engine.standins.values import Properties, Unknown, plain


def _at_least_one(name: str, inputs: Properties) -> list[CheckFailure]:
    value = plain(inputs.get(name))
    if value is None:
        return [CheckFailure(name, f"Missing required property '{name}'")]
    if not isinstance(value, Unknown) and value < 1:
        return [CheckFailure(name, f"Attribute {name} value must be at least 1, got: {int(value)}")]
    return []


def _url_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class RandomId(Generated):
    """Random bytes in several notations, each after the prefix; the id is the URL-safe one without it."""

    computed: ClassVar[tuple[str, ...]] = ("b64Std", "b64Url", "dec", "hex")

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """There has to be at least one byte."""
        return inputs, _at_least_one("byteLength", inputs)

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the bytes."""
        return self._notations(secrets.token_bytes(int(inputs["byteLength"])), inputs.get("prefix") or "")

    def _notations(self, content: bytes, prefix: str) -> tuple[str, dict[str, Any]]:
        return _url_base64(content), {
            "b64Std": prefix + base64.b64encode(content).decode(),
            "b64Url": prefix + _url_base64(content),
            "dec": prefix + str(int.from_bytes(content, "big")),
            "hex": prefix + content.hex(),
        }

    def adopt(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """The import id is the id, after `<prefix>,` where there is a prefix."""
        prefix, _, encoded = identifier.rpartition(",")
        try:
            content = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            raise ProviderError(f"decoding {identifier!r}: not URL-safe base64") from None
        encoded, outputs = self._notations(content, prefix)
        return encoded, outputs | {"byteLength": len(content)} | ({"prefix": prefix} if prefix else {})


class RandomBytes(Generated):
    """Random bytes, whose notations are secret. Not so the id, which is the bytes in base64: the plugin's own way."""

    computed: ClassVar[tuple[str, ...]] = ("base64", "hex")
    secret = frozenset(computed)

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """There has to be at least one byte."""
        return inputs, _at_least_one("length", inputs)

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the bytes."""
        return self._outputs(secrets.token_bytes(int(inputs["length"])))

    def _outputs(self, content: bytes) -> tuple[str, dict[str, Any]]:
        encoded = base64.b64encode(content).decode()
        return encoded, {"base64": encoded, "hex": content.hex()}

    def adopt(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """The import id is the bytes in base64."""
        try:
            content = base64.b64decode(identifier, validate=True)
        except ValueError:
            raise ProviderError("the import id of RandomBytes is base64") from None
        identifier, outputs = self._outputs(content)
        return identifier, outputs | {"length": len(content)}


class RandomUuid(Generated):
    """A random UUID, which is its own id."""

    computed: ClassVar[tuple[str, ...]] = ("result",)

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the UUID."""
        made = str(uuid.uuid4())
        return made, {"result": made}

    def adopt(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """The import id is the UUID."""
        try:
            parsed = str(uuid.UUID(identifier))
        except ValueError:
            raise ProviderError(f"{identifier!r} is not a UUID") from None
        return parsed, {"result": parsed}
