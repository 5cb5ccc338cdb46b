"""Property values as plugins and the engine exchange them, as plain Python values.

The wire form is a protobuf Struct in which special values are objects marked by a signature, described
in Pulumi's `developer-docs/providers` (secrets, assets, archives) and by one well-known string (unknown).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (a mark on the wire, no secret)
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWN_STRINGS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # of unknown type; the others are a boolean, number, ...
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


class Unknown:
    """A value that is not known before the update runs."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine must encrypt in state and hide in output."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


def decode(value: struct_pb2.Value) -> Any:
    """One value from the wire."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
    if kind == "number_value":
        return value.number_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [decode(item) for item in value.list_value.values]
    if kind == "struct_value":
        fields = decode_map(value.struct_value)
        if fields.get(SIGNATURE) == SECRET:
            return Secret(fields.get("value"))
        return fields
    return None


def decode_map(struct: struct_pb2.Struct) -> Properties:
    """A map of properties from the wire."""
    return {key: decode(value) for key, value in struct.fields.items()}


def _encode_into(value: Any, target: struct_pb2.Value) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Unknown):
        target.string_value = UNKNOWN_STRING
    elif isinstance(value, Secret):
        fields = target.struct_value.fields
        fields[SIGNATURE].string_value = SECRET
        _encode_into(value.value, fields["value"])
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _encode_into(item, target.struct_value.fields[key])
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for item in value:
            _encode_into(item, target.list_value.values.add())
    else:
        raise TypeError(f"a property cannot be a {type(value).__name__}")


def encode_map(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """A map of properties for the wire."""
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _encode_into(value, struct.fields[key])
    return struct


def plain(value: Any) -> Any:
    """The same value with every secret opened, for the provider's own use."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_unknown(value: Any) -> bool:
    """Whether the value, or anything in it, is not known yet."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return isinstance(value, Unknown)


def has_secret(value: Any) -> bool:
    """Whether the value, or anything in it, is secret."""
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def is_asset(value: Any) -> bool:
    """Whether the value is a Pulumi asset (one file)."""
    return isinstance(value, dict) and value.get(SIGNATURE) == ASSET


def is_archive(value: Any) -> bool:
    """Whether the value is a Pulumi archive (a tree of files)."""
    return isinstance(value, dict) and value.get(SIGNATURE) == ARCHIVE
