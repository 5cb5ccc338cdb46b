"""The service that keeps this node's part of the volume going: a brick or self-heal daemon that dies is started again.

glusterd does that only when it starts itself. The service waits for the end of those very processes (pidfd_open(2)), so
it costs next to nothing while all is well. Now and then it looks whether this node's clients know all bricks, whether
its brick has another port, whether another member was lost, whether a directory was made twice, and whether its
self-heal daemon has to run: glusterd starts one on every member.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from storage_node import services
from storage_node.cluster import gluster, graph, healer, ports, recent, twice
from storage_node.cluster.options import VOLUME
from storage_node.errors import NodeError
from storage_node.paths import Paths

SERVICE = "storage-node-brick.service"
# glusterd ends them on purpose too, when a brick is replaced or the volume stopped; what follows is soon there.
SETTLE_SECONDS = 3.0
# Between two attempts, and between two looks for what nobody has started yet; each that came to nothing doubles it.
RETRY_SECONDS = 10.0
RETRY_SECONDS_MOST = 300.0
# Between two looks at the clients, which is to read one small file where no bricks come, and at the other members.
LOOK_SECONDS = 5.0
# The names by which the log calls them; where glusterd writes down their ids; what the processes are called.
_BRICK, _HEALER = "brick", "self-heal daemon"
_PROCESSES = {
    _BRICK: (f"/run/gluster/vols/{VOLUME}", "glusterfsd"),
    _HEALER: (f"/run/gluster/shd/{VOLUME}", "glusterfs"),
}

_UNIT = """\
# Written by storage-node.
[Unit]
Description=Backup storage: a brick or self-heal daemon that died is started again
After=glusterd.service
Wants=glusterd.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/sbin/storage-node brick
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def unit_files(paths: Paths) -> dict[Path, str]:
    """The service's files."""
    return {paths.units / SERVICE: _UNIT}


def configure(paths: Paths) -> bool:
    """Writes the service; returns whether one that systemd may know changed."""
    return services.install_unit(paths, SERVICE, _UNIT)


def run(paths: Paths) -> int:
    """Watches until it is ended."""
    pause = RETRY_SECONDS
    clients, brick, doubts, names = graph.Keeper(paths), ports.Keeper(paths), recent.Keeper(paths), twice.Keeper(paths)
    while True:
        wait_for_end(
            paths,
            lambda _: clients.look(),
            lambda there: brick.look(there.get(_BRICK)),
            lambda _: doubts.look(),
            lambda _: names.look(),
        )
        time.sleep(SETTLE_SECONDS)
        try:
            if (ended := dead(paths)) and _has_to_run():
                print(f"This node's {' and '.join(ended)} does not run; it is started.", file=sys.stderr, flush=True)
                # What runs is left alone by it, on other members, too; so it is done whoever else is away.
                gluster.ask("volume", "start", VOLUME, "force")
        except NodeError as error:
            print(error, file=sys.stderr, flush=True)
        if dead(paths):
            time.sleep(pause)
            pause = min(pause * 2, RETRY_SECONDS_MOST)
        else:
            pause = RETRY_SECONDS


def dead(paths: Paths) -> list[str]:
    """What of this node's part of the volume has to run and does not."""
    return sorted(_needed(paths) - processes(paths).keys())


def _needed(paths: Paths) -> set[str]:
    return {_BRICK, _HEALER} if healer.runs_here(paths) else {_BRICK}


def _has_to_run() -> bool:
    volume = gluster.volume(VOLUME)
    return volume is not None and volume.started


def wait_for_end(paths: Paths, *meanwhile: Callable[[Mapping[str, int]], None]) -> None:
    """Returns when one that has to run does not; until then ends those that need not.

    ``meanwhile`` is done now and then, and told the ids of the processes that run, by what they are.
    """
    while True:
        needed, there = _needed(paths), processes(paths)
        if not there.keys() >= needed:
            return
        for name in there.keys() - needed:
            _end(name, there.pop(name))
        with contextlib.ExitStack() as opened:
            poll = select.poll()
            for pid in there.values():
                try:
                    descriptor = os.pidfd_open(pid)
                except ProcessLookupError:
                    return
                opened.callback(os.close, descriptor)
                poll.register(descriptor, select.POLLIN)
            if poll.poll(LOOK_SECONDS * 1000):
                continue
        for look in meanwhile:
            try:
                look(there)
            except NodeError as error:
                print(error, file=sys.stderr, flush=True)


def _end(name: str, pid: int) -> None:
    print(f"This node's {name} is ended: another member's does the work.", file=sys.stderr, flush=True)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def processes(paths: Paths) -> dict[str, int]:
    """The ids of this node's processes of the volume that run, by what they are."""
    found: dict[str, int] = {}
    for name, (directory, command) in _PROCESSES.items():
        for file in sorted(paths.at(directory).glob("*.pid")):
            if (pid := _alive(paths, file, command)) is not None:
                found[name] = pid
    return found


def _alive(paths: Paths, file: Path, command: str) -> int | None:
    try:
        pid = int(file.read_text())
        # A number may be another's since; one that waits to be reaped has ended.
        words = paths.at(f"/proc/{pid}/stat").read_text().rpartition(")")
    except (OSError, ValueError):
        return None
    runs = words[0].partition("(")[2] == command and words[2].split()[0] != "Z"
    return pid if runs else None
