"""A Pulumi home with stand-ins in its plugin cache.

The engine takes plugins from PATH (and warns about it each time), from beside itself (only those that come
with it), or from the plugin cache in its home directory, silently. So the stand-ins get a home of their own,
and the user's stays untouched: its credentials are used where they are, its plugins are linked.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from engine.pin import CHECKOUT, KIT, cache_directory
from engine.plugins import Plugin

MARK = ".stand-in"
ORIGIN = "origin"
OWNER = "checkout"


def kit_home() -> Path:
    """This checkout's Pulumi home with the stand-ins."""
    key = hashlib.sha256(f"{CHECKOUT}\n{sys.executable}".encode()).hexdigest()[:12]
    return cache_directory() / "homes" / key


def user_home() -> Path:
    """The Pulumi home that the user has chosen, also from within an activated shell."""
    chosen = os.environ.get("PULUMI_HOME")
    if chosen and Path(chosen) == kit_home():
        try:
            return Path((kit_home() / ORIGIN).read_text())
        except OSError:
            chosen = None
    return Path(chosen) if chosen else Path.home() / ".pulumi"


def _launcher(plugin: Plugin) -> str:
    # Stand-ins that run none of the program's code are isolated from its environment (PYTHONPATH and the like).
    # All write at once: the engine waits for the port that they print, and the SDK's own server leaves it in a buffer.
    options = "-u" if plugin.standin in ("language", "dynamic") else "-u -I"
    launch = shlex.quote(str(KIT / "standins" / "launch.py"))
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {options} {launch} {plugin.standin} "$@"\n'


def _write_standin(plugins: Path, plugin: Plugin) -> None:
    directory = plugins / plugin.directory
    program = directory / plugin.program
    if program.is_file() and not program.is_symlink() and program.read_text() == _launcher(plugin):
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / MARK).touch()
    fresh = directory / f".{plugin.program}"
    fresh.write_text(_launcher(plugin))
    fresh.chmod(0o755)
    fresh.rename(program)


def _link_real(plugins: Path, real: Path) -> None:
    """Show a plugin of the user's cache. The engine passes over a directory that is itself a link."""
    directory = plugins / real.name
    if directory.exists() and not (directory / MARK).exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for item in real.iterdir():
        (directory / item.name).symlink_to(item)


def forget_lost_checkouts() -> None:
    """Remove the homes of checkouts that are no more."""
    for home in kit_home().parent.glob("*/"):
        try:
            lost = not Path((home / OWNER).read_text()).exists()
        except OSError:
            continue
        if lost:
            shutil.rmtree(home, ignore_errors=True)


def prepare(standins: Iterable[Plugin], origin: Path) -> Path:
    """Bring the kit's home up to date; returns it. Does nothing that is done already."""
    home = kit_home()
    plugins = home / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    (home / ORIGIN).write_text(str(origin))
    (home / OWNER).write_text(str(CHECKOUT))
    wanted = {plugin.directory: plugin for plugin in standins}
    for directory in plugins.iterdir():
        stale_standin = (directory / MARK).exists() and directory.name not in wanted
        broken_link = any(item.is_symlink() and not item.exists() for item in directory.iterdir())
        if stale_standin or broken_link:
            shutil.rmtree(directory)
    for real in sorted(origin.glob("plugins/*-v*")):
        if real.is_dir() and not real.with_name(real.name + ".partial").exists():
            _link_real(plugins, real)
    for plugin in wanted.values():
        _write_standin(plugins, plugin)
    return home
