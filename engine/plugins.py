"""Which plugins are really there, and which need a stand-in."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from engine import memo
from engine.network import reachable
from engine.pin import engine_version, parse_version

Say = Callable[[str], None]

HOST = "https://get.pulumi.com/releases/plugins"
"""Where Pulumi's plugins are fetched from."""
RETRY_SECONDS = 24 * 3600
"""How long a refused download from Pulumi's plugin host is remembered before it is tried again."""
DOWNLOAD_SECONDS = 120


@dataclass(frozen=True)
class Plugin:
    """One plugin that the program needs."""

    kind: str
    name: str
    version: str
    standin: str
    bundled: bool = False

    @property
    def program(self) -> str:
        """The name of its executable."""
        return f"pulumi-{self.kind}-{self.name}"

    @property
    def directory(self) -> str:
        """The name of its directory in a plugin cache."""
        return f"{self.kind}-{self.name}-v{self.version}"


def needed() -> list[Plugin]:
    """The plugins of this project, in the versions that the installed SDK packages ask for."""
    engine = engine_version()
    return [
        Plugin("language", "python", engine, "language", bundled=True),
        Plugin("resource", "pulumi-python", engine, "dynamic", bundled=True),
        Plugin("resource", "command", metadata.version("pulumi-command"), "command"),
        Plugin("resource", "random", metadata.version("pulumi-random"), "random"),
        Plugin("resource", "tls", metadata.version("pulumi-tls"), "tls"),
        Plugin("resource", "aws", metadata.version("pulumi-aws"), "aws"),
    ]


def _installed(home: Path, plugin: Plugin) -> bool:
    """Whether a plugin cache holds the plugin, in a version that the engine would take for it."""
    wanted = parse_version(plugin.version)
    for directory in home.glob(f"plugins/{plugin.kind}-{plugin.name}-v*"):
        version = parse_version(directory.name.rpartition("-v")[2])
        whole = not directory.with_name(directory.name + ".partial").exists()
        if version and wanted and version >= wanted and whole and directory.is_dir():
            return True
    return False


def is_present(plugin: Plugin, engine: Path, home: Path) -> bool:
    """Whether the engine finds the real plugin: on PATH, beside itself, or in the user's plugin cache."""
    if shutil.which(plugin.program):
        return True
    if plugin.bundled and (engine.resolve().parent / plugin.program).exists():
        return True
    return _installed(home, plugin)


def _download(plugin: Plugin, engine: Path, home: Path) -> bool:
    command = [str(engine), "plugin", "install", plugin.kind, plugin.name, f"v{plugin.version}"]
    environment = os.environ | {"PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DOWNLOAD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def missing(engine: Path, home: Path, say: Say) -> Iterator[Plugin]:
    """The plugins that are not there and cannot be downloaded now."""
    for plugin in needed():
        if is_present(plugin, engine, home):
            continue
        key = f"refused {plugin.kind} {plugin.name} {plugin.version}"
        refused = memo.recall(key)
        if not plugin.bundled and not (isinstance(refused, float) and time.time() - refused < RETRY_SECONDS):
            say(f"Fetching the plugin {plugin.name} {plugin.version}")
            if reachable(HOST) and _download(plugin, engine, home):
                continue
            memo.remember(key, time.time())
        yield plugin
