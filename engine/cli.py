"""Having a Pulumi CLI: one on PATH, the official one, or one built from its Go module."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine import build, memo
from engine.lock import exclusive
from engine.network import reachable
from engine.pin import EngineError, Version, cache_directory, cached_engine, engine_version, parse_version, suits

Say = Callable[[str], None]

INSTALLER = "https://get.pulumi.com/install.sh"


def version_of(program: Path) -> Version | None:
    """The version that a CLI prints, remembered until the file changes."""
    try:
        status = program.stat()
    except OSError:
        return None
    key = f"version of {program} {status.st_size} {status.st_mtime_ns}"
    text = memo.recall(key)
    if not isinstance(text, str):
        try:
            done = subprocess.run(
                [program, "version"],
                capture_output=True,
                text=True,
                timeout=60,
                env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        text = done.stdout.strip()
        memo.remember(key, text)
    return parse_version(text)


def find() -> Path | None:
    """The engine to use, if there is one: a suitable `pulumi` on PATH first, then the kit's own."""
    on_path = shutil.which("pulumi")
    if on_path and (Path(on_path) == cached_engine() or suits(version_of(Path(on_path)))):
        return Path(on_path)
    return cached_engine() if cached_engine().exists() else None


def _official(target: Path) -> None:
    """Fetch the official CLI with its bundled plugins into the directory `target`."""
    from pulumi.automation import PulumiCommand  # noqa: PLC0415 (slow to import, and seldom needed)
    from semver import VersionInfo  # noqa: PLC0415

    PulumiCommand.install(root=str(target), version=VersionInfo.parse(engine_version()))


def _into_place(made: Path) -> None:
    """Move a finished `bin` directory to where engines are looked for, whole or not at all."""
    target = cached_engine().parent
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    made.rename(target)


def install(say: Say) -> Path:
    """Make sure that there is an engine; returns it. EngineError where none can be had."""
    found = find()
    if found:
        return found
    with exclusive(cache_directory() / "install.lock", say):
        found = find()
        if found:
            return found
        for leftover in cache_directory().glob("making-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=cache_directory(), prefix="making-") as name:
            directory = Path(name)
            if not _fetched(directory, say):
                build.build(directory / "bin", say)
            _into_place(directory / "bin")
    if version_of(cached_engine()) != parse_version(engine_version()):
        raise EngineError(f"{cached_engine()} was installed, but does not report version {engine_version()}")
    say(f"Pulumi {engine_version()} is ready: {cached_engine()}")
    return cached_engine()


def _fetched(directory: Path, say: Say) -> bool:
    if not reachable(INSTALLER):
        say("get.pulumi.com cannot be reached from here")
        return False
    say(f"Fetching Pulumi {engine_version()} with its official installer")
    try:
        _official(directory)
    except Exception as error:  # noqa: BLE001 (whatever its installer raises, the build remains)
        say(f"The official installer failed: {error}")
        return False
    return (directory / "bin" / "pulumi").exists()
