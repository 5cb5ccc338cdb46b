"""The command line: `storage-node <step>`, JSON in, JSON out, one sentence on stderr when it fails."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from storage_node import library, lock
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
    add("survey", _survey, "What keeps this machine from being a node, for JSON on stdin; changes nothing.")
    add("volume", _volume, "A cluster's volume over its members' bricks, from JSON on stdin; ends when it is healed.")
    add("address", _address, "Keeps the cluster's floating address; run as a service.")
    add("brick", _brick, "Has this node's brick started again when it dies; run as a service.")
    add("donate", _donate, "Gives a member that lost its brick a copy of this one's; run as a service, on a socket.")
    add("exports", _exports, "Waits until the NFS server exports what it is to; run when it starts.")
    add("environments", _environments, "Repositories and exports, from JSON on stdin.")
    status = add("status", _status, "The node's health; exit status 0 when all is well.")
    status.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    status.add_argument(
        "--sparing", action="store_true", help="leave what every member of a cluster sees alike to the first of them"
    )
    backups = add("backups", _backups, "Which backups there are; all environments unless some are named.")
    backups.add_argument("environments", nargs="*", metavar="ENVIRONMENT")
    shape = backups.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object")
    shape.add_argument("--table", action="store_true", help="a table (the default)")
    backups.add_argument("--details", action="store_true", help="paths, tags, new data and snapshot ids as well")
    backups.add_argument("--since", metavar="WHEN", help="a date, a time, or an age such as 36h or 7d")
    backups.add_argument("--until", metavar="WHEN", help="likewise")
    backups.add_argument("--tag", help="a whole tag, or a backup's name")
    backups.add_argument("--kind", choices=("manual", "auto"))
    fresh = add("freshness", _freshness, "How old the newest backups are; exit status 1 when one is too old.")
    fresh.add_argument("--max-age-hours", type=float, default=26.0, metavar="N", help="26 by default: daily and a bit")
    fresh.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add("metrics", _metrics, "Writes figures for Prometheus' node exporter; run by a timer.")
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
    source = library.running_program()
    install.verify(wanted.program, source)
    paths = Paths(root=paths.root, data_path=wanted.data_path)
    with lock.exclusive(paths.lock):
        return _answer(configure.apply(paths, wanted, source))


def _survey(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node import firewall, spec, survey  # noqa: PLC0415

    asked = survey.wanted(spec.parse_json(sys.stdin.read()))
    return _answer({"problems": survey.problems(paths, asked, firewall.connection())})


def _volume(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node import install, spec  # noqa: PLC0415
    from storage_node.cluster import volume  # noqa: PLC0415

    wanted = spec.volume(spec.parse_json(sys.stdin.read()))
    install.verify(wanted.program, library.running_program())
    with lock.exclusive(paths.lock):
        return _answer(volume.apply(paths, wanted.cluster, wanted.bricks))


def _address(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node.floating import service  # noqa: PLC0415

    return service.run(paths)


def _brick(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node.cluster import watch  # noqa: PLC0415

    return watch.run(paths)


def _donate(_: argparse.Namespace, paths: Paths) -> int:
    import socket  # noqa: PLC0415

    from storage_node.cluster import donor  # noqa: PLC0415

    return donor.run(paths, socket.socket(fileno=sys.stdin.fileno()))


def _exports(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node.cluster import ganesha  # noqa: PLC0415

    ganesha.settle(paths)
    return 0


def _environments(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node import environments, install, spec  # noqa: PLC0415

    wanted = spec.environments(spec.parse_json(sys.stdin.read()))
    install.verify(wanted.program, library.running_program())
    paths = Paths(root=paths.root, data_path=wanted.data_path)
    with lock.exclusive(paths.lock):
        return _answer(environments.apply(paths, wanted))


def _status(options: argparse.Namespace, paths: Paths) -> int:
    from storage_node import status, tables  # noqa: PLC0415

    found = status.collect(paths, walk=True, sparing=options.sparing)
    print(json.dumps(found) if options.json else tables.status(found))
    return 0 if found["healthy"] else 1


def _purge(options: argparse.Namespace, paths: Paths) -> int:
    from storage_node import purge  # noqa: PLC0415

    with lock.exclusive(paths.lock):
        return _answer(purge.apply(paths, options.environment, options.confirm))


def _backups(options: argparse.Namespace, paths: Paths) -> int:
    from storage_node.catalogue import report  # noqa: PLC0415
    from storage_node.catalogue.environments import Catalogue  # noqa: PLC0415

    fits = report.chosen(options.since, options.until, options.tag, options.kind)
    found = report.collect(Catalogue(paths), options.environments, fits, details=options.details)
    print(json.dumps(found) if options.json else report.table(found, details=options.details))
    return int(any("error" in entry for entry in found["environments"].values()))


def _freshness(options: argparse.Namespace, paths: Paths) -> int:
    from storage_node.catalogue import freshness  # noqa: PLC0415

    found = freshness.collect(paths, options.max_age_hours)
    print(json.dumps(found) if options.json else freshness.table(found))
    return 0 if found["healthy"] else 1


def _metrics(_: argparse.Namespace, paths: Paths) -> int:
    from storage_node import atomic, status  # noqa: PLC0415
    from storage_node.catalogue import freshness  # noqa: PLC0415

    found = status.collect(paths, sparing=True)
    # It runs on every member again and again, and the environments are the same from each.
    ages = freshness.collect(paths, 26.0, None if status.speaks(found) else ())
    atomic.write(paths.metrics, freshness.metrics(ages, found), 0o644)
    return 0
