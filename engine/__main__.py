"""`python -m engine install [--quiet]` and `python -m engine env`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path

from engine import cli, home, memo, plugins
from engine.pin import EngineError


def _silent(_: str) -> None:
    """Say nothing."""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def install(say: cli.Say) -> dict[str, str | None]:
    """Make sure that engine and plugins are there; returns the environment that finds them.

    A value of None stands for a variable to remove; that of PATH is a directory to put first.
    """
    engine = cli.install(say)
    origin = home.user_home()
    standins = list(plugins.missing(engine, origin, say))
    environment: dict[str, str | None] = {}
    if shutil.which("pulumi") != str(engine):
        environment["PATH"] = str(engine.parent)
    if standins:
        environment["PULUMI_HOME"] = str(home.prepare(standins, origin))
        environment["PULUMI_CREDENTIALS_PATH"] = os.environ.get("PULUMI_CREDENTIALS_PATH") or str(origin)
        environment["PULUMI_SKIP_UPDATE_CHECK"] = "true"
        home.forget_lost_checkouts()
        names = ", ".join(plugin.name for plugin in standins)
        if memo.recall("stand-ins announced") != names:
            _say(f"Pulumi's plugin host cannot be reached: offline stand-ins are in use for {names}")
            memo.remember("stand-ins announced", names)
    elif os.environ.get("PULUMI_HOME") == str(home.kit_home()):
        environment["PULUMI_HOME"] = str(origin) if origin != Path.home() / ".pulumi" else None
    return environment


def _line(name: str, value: str | None) -> str:
    """One line of shell that sets or removes a variable."""
    if value is None:
        return f"unset {name}"
    return f"export {name}={shlex.quote(value)}" + (':"$PATH"' if name == "PATH" else "")


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engine", description="The Pulumi engine of this project.")
    commands = parser.add_subparsers(dest="command", required=True)
    installing = commands.add_parser("install", help="make sure that the engine and its plugins are there")
    installing.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    commands.add_parser("env", help="print shell lines that put the engine into a shell")
    chosen = parser.parse_args(arguments)
    try:
        environment = install(_silent if chosen.command == "install" and chosen.quiet else _say)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if chosen.command == "env":
        for name, value in environment.items():
            print(_line(name, value))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
