"""The command line: `storage-node <step>`, JSON in, JSON out, one sentence on stderr when it fails."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from storage_node import lock
from storage_node.errors import NodeError, from_os
from storage_node.paths import Paths, of_this_node

# Modules that only one step needs are imported by that step (PLC0415): importing costs more than most steps' own work.


def run(arguments: Sequence[str], paths: Paths | None = None) -> int:
    """Runs one command and returns the exit status: 0 done, 1 failed (or unhealthy), 2 not confirmed or misused."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, paths or of_this_node()))
    except NodeError as error:
        print(error, file=sys.stderr)
        return error.status
    except OSError as error:
        print(from_os(f"storage-node {options.command} failed", error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="storage-node", description="What runs on a backup storage node.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Callable[[argparse.Namespace, Paths], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("configure", _configure, "Disk, firewall, services and this program, from JSON on stdin.")
    add("environments", _environments, "Repositories and exports, from JSON on stdin.")
    status = add("status", _status, "The node's health; exit status 0 when all is well.")
    status.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    purge = add("purge", _purge, "Deletes a withdrawn environment's repository for good.")
    purge.add_argument("environment")
    purge.add_argument("--confirm", metavar="ENVIRONMENT", help="the same name again")
    return parser


def _answer(value: dict[str, Any]) -> int:
    print(json.dumps(value))
    return 0


def _configure(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node import configure, install, spec  # noqa: PLC0415

    wanted = spec.configure(spec.parse_json(sys.stdin.read()))
    source = install.running_file()
    install.verify(wanted.program, source)
    paths = Paths(root=paths.root, data_path=wanted.data_path)
    with lock.exclusive(paths.lock):
        return _answer(configure.apply(paths, wanted, source))


def _environments(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node import environments, install, spec  # noqa: PLC0415

    wanted = spec.environments(spec.parse_json(sys.stdin.read()))
    install.verify(wanted.program, install.running_file())
    paths = Paths(root=paths.root, data_path=wanted.data_path)
    with lock.exclusive(paths.lock):
        return _answer(environments.apply(paths, wanted))


def _status(options: argparse.Namespace, paths: Paths) -> int:
    from storage_node import status, tables  # noqa: PLC0415

    found = status.collect(paths, walk=True)
    print(json.dumps(found) if options.json else tables.status(found))
    return 0 if found["healthy"] else 1


def _purge(options: argparse.Namespace, paths: Paths) -> int:
    from storage_node import purge  # noqa: PLC0415

    with lock.exclusive(paths.lock):
        return _answer(purge.apply(paths, options.environment, options.confirm))
