"""The service that has this node's brick started again when its process dies: glusterd does that only when it starts.

It waits for the end of that very process (pidfd_open(2)), so it costs nothing while all is well.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from storage_node import atomic
from storage_node.cluster import gluster
from storage_node.cluster.options import VOLUME
from storage_node.errors import NodeError
from storage_node.paths import Paths

SERVICE = "storage-node-brick.service"
# glusterd ends a brick on purpose too, when it is replaced or the volume stopped; what follows is soon there.
SETTLE_SECONDS = 3.0
# Between two attempts, and between two looks for a brick that nobody has started yet.
RETRY_SECONDS = 10.0

_UNIT = """\
# Written by storage-node.
[Unit]
Description=Backup storage: a brick that died is started again
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
    changed = False
    for path, content in unit_files(paths).items():
        known = path.exists()
        changed |= atomic.write(path, content) and known
    atomic.link(paths.units / "multi-user.target.wants" / SERVICE, f"/etc/systemd/system/{SERVICE}")
    return changed


def run(paths: Paths) -> int:
    """Watches until it is ended."""
    while True:
        wait_for_end(paths)
        time.sleep(SETTLE_SECONDS)
        try:
            if next(brick_processes(paths), None) is None and _has_to_run():
                print("This node's brick does not run; it is started.", file=sys.stderr, flush=True)
                gluster.change("volume", "start", VOLUME, "force")
        except NodeError as error:
            print(error, file=sys.stderr, flush=True)
        if next(brick_processes(paths), None) is None:
            time.sleep(RETRY_SECONDS)


def _has_to_run() -> bool:
    volume = gluster.volume(VOLUME)
    return volume is not None and volume.started


def wait_for_end(paths: Paths) -> None:
    """Returns when no brick process runs any more."""
    while (pid := next(brick_processes(paths), None)) is not None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
        finally:
            os.close(descriptor)


def brick_processes(paths: Paths) -> Iterator[int]:
    """The processes that run this node's brick of the volume: their ids are where glusterd writes them down."""
    for file in sorted(paths.at(f"/run/gluster/vols/{VOLUME}").glob("*.pid")):
        try:
            pid = int(file.read_text())
            # A number may be another's since; one that waits to be reaped has ended.
            words = paths.at(f"/proc/{pid}/stat").read_text().rpartition(")")
        except (OSError, ValueError):
            continue
        if words[0].partition("(")[2] == "glusterfsd" and words[2].split()[0] != "Z":
            yield pid
