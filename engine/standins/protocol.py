"""The plugin protocol's message classes, without the rest of the Pulumi SDK.

A plugin process is started for each preview and each update, so its start-up time is felt. The SDK's
generated gRPC classes need only grpc and protobuf; importing them by their usual name would load the
whole SDK, which triples the start-up time. Here they are loaded from the SDK's directory under a package
name of their own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        engine_pb2,
        engine_pb2_grpc,
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
    )

PACKAGE = "engine_standins_protocol"
MESSAGE_LIMIT = 400 * 1024 * 1024
"""The engine's own limit for one message, in bytes (Pulumi SDK, `_GRPC_CHANNEL_OPTIONS`)."""
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]


def _directory() -> Path:
    """Where the SDK keeps its generated classes. `find_spec` of a top-level package does not import it."""
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("The Pulumi SDK is not installed for " + sys.executable)
    return Path(next(iter(spec.submodule_search_locations))) / "runtime" / "proto"


def _load(name: str) -> ModuleType:
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(_directory())]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")


if not TYPE_CHECKING:
    _LAZY = {
        "engine_pb2",
        "engine_pb2_grpc",
        "language_pb2",
        "language_pb2_grpc",
        "plugin_pb2",
        "provider_pb2",
        "provider_pb2_grpc",
    }

    def __getattr__(name):
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _load(name)


__all__ = [
    "CHANNEL_OPTIONS",
    "engine_pb2",
    "engine_pb2_grpc",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
]
