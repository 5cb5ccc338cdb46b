"""Which engine this project wants, and where the kit keeps what it makes."""

from __future__ import annotations

import os
import re
from pathlib import Path

MODULE = "github.com/pulumi/pulumi/pkg/v3"
"""The Go module that holds the Pulumi CLI."""
PACKAGE = f"{MODULE}/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
"""The variable that the CLI's makers set at link time; without it `pulumi version` prints nothing."""

KIT = Path(__file__).resolve().parent
CHECKOUT = KIT.parent

Version = tuple[int, int, int]


class EngineError(Exception):
    """The engine cannot be had; the text says why and what would help."""


def parse_version(text: str) -> Version | None:
    """`v3.250.0` or `3.250.0`, anything after it ignored; None where there is no version."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def engine_version() -> str:
    """The pinned engine version, `3.250.0`, as go.mod requires it."""
    found = re.search(rf"{re.escape(MODULE)} v(\S+)", (KIT / "go.mod").read_text())
    if not found:
        raise EngineError(f"{KIT / 'go.mod'} does not require {MODULE}")
    return found[1]


def suits(version: Version | None) -> bool:
    """Whether an engine of this version can be used: the pinned one or a later one of the same major."""
    wanted = parse_version(engine_version())
    return version is not None and wanted is not None and version[0] == wanted[0] and version >= wanted


def cache_directory() -> Path:
    """Where engines and launchers are kept, outside the checkout: `~/.cache/backup-storage/engine`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "backup-storage" / "engine"


def cached_engine() -> Path:
    """Where the kit's own engine is, or will be."""
    return cache_directory() / engine_version() / "bin" / "pulumi"
