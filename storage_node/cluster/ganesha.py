"""NFSv4 on the volume: NFS-Ganesha, whose file handles mean the same on every node.

The kernel's server cannot do this: over a FUSE mount its handles are numbers of that very mount, stale or another
file's on every other node. Ganesha talks to the volume itself and takes the volume's own ids. Facts (9.14, tried): an
export's number goes into its handles, so it has to be the same everywhere; SIGHUP takes over added, changed and removed
exports while the others serve on.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from storage_node import atomic, exports, services, system, users
from storage_node.cluster.options import VOLUME
from storage_node.errors import NodeError
from storage_node.exports import Export
from storage_node.paths import Paths
from storage_node.waiting import until

SERVICE = "nfs-ganesha.service"
# What the kernel calls it.
PROCESS = "ganesha.nfsd"
RELOAD_SECONDS = 300.0
# So long the server gets for what it lacks before it is asked once more, or, in all, started anew.
AGAIN_SECONDS = 10.0
SETTLE_SECONDS = 240.0

# A client keeps what it has written until the server that took it has it on its disks, and tells servers apart by a
# number: by default the second in which one started. Members start in the same second, as when power returns; a client
# whose server died would take the next one for it, and let go of what only the dead one's memory had. The clients' own
# numbers begin with it, too. So each start draws one (-E).
#
# Seen once, on a member of 1 GB that served while its cluster grew: the server had 690 MB, where it has 100 to 240, and
# the machine hung for want of memory, still a member. Ended at 60 %, it starts anew; the address moves if that lasts.
_UNIT = """\
# Written by storage-node: without the NFSv3 helpers that the package's own unit wants.
[Unit]
Description=Backup storage: NFSv4 on the volume
After=storage-node-data.service dbus.service network.target
Requires=storage-node-data.service
Wants=dbus.service
StartLimitIntervalSec=0

[Service]
Type=forking
PIDFile=/run/ganesha/pid
RuntimeDirectory=ganesha
LogsDirectory=ganesha
LimitNOFILE=65536
MemoryMax=60%
TimeoutStartSec=300
ExecStartPre=/bin/sh -c 'sha256sum </etc/ganesha/ganesha.conf >/run/ganesha/loaded'
ExecStart=/bin/sh -c 'exec /usr/bin/ganesha.nfsd -C -p /run/ganesha/pid -f /etc/ganesha/ganesha.conf \\
 -L /var/log/ganesha/ganesha.log -E $$(od -An -N4 -tu4 /dev/urandom)'
ExecStartPost=/usr/local/sbin/storage-node exports
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""

# Grace is for clients of a server that was restarted; with a moving address others come, and need not wait for it.
#
# By default the server keeps each file that it made open, up to half of LimitNOFILE. When a brick is replaced, all that
# is open is synced through the volume as it was and opened anew, a file at a time, while requests wait; and is marked
# as lacking on the lost brick, so that all of its data is healed, whether the brick has it or not.
_HEAD = """\
# Written by storage-node; changes made here are undone by the next `pulumi up`.
NFS_CORE_PARAM {
	Protocols = 4;
	NFS_Port = 2049;
	Enable_NLM = false;
	Enable_RQUOTA = false;
	Enable_UDP = false;
	mount_path_pseudo = true;
	allow_set_io_flusher_fail = true;
}
NFSv4 {
	Minor_Versions = 1, 2;
	Lease_Lifetime = 20;
	Grace_Period = 20;
	RecoveryBackend = fs;
	Delegations = false;
	Only_Numeric_Owners = true;
}
MDCACHE {
	Cache_FDs = false;
	LRU_Run_Interval = 10;
}
EXPORT_DEFAULTS {
	Access_Type = None;
	Squash = All_Squash;
	SecType = sys;
	Protocols = 4;
	Transports = TCP;
}
LOG {
	Default_Log_Level = EVENT;
	Components { EXPORT = INFO; CONFIG = INFO; }
	Facility { name = FILE; destination = "/var/log/ganesha/ganesha.log"; enable = active; }
}
"""

_EXPORT = """\
EXPORT {{
	Export_Id = {number};
	Path = "/{name}";
	Pseudo = "{path}";
	Filesystem_Id = 0.{number};
	Anonymous_Uid = {uid};
	Anonymous_Gid = {uid};
	FSAL {{ Name = GLUSTER; Hostname = localhost; Volume = {volume}; Volpath = "/{name}"; }}
{clients}}}
"""

# What ganesha writes into its log when it has taken changed exports over.
_TAKEN_OVER = b"Reread exports complete"


def unit_files(paths: Paths) -> dict[Path, str]:
    """The service's files, without the exports."""
    return {paths.units / SERVICE: _UNIT}


def export_id(uid: int) -> int:
    """The number of the export of an environment's user; ganesha takes 1 to 65535."""
    number = uid - users.FIRST + 1
    if not 0 < number <= 0xFFFF:
        raise NodeError(f"The user number {uid} is too high: a cluster can ever have had {0xFFFF} environments.")
    return number


def render(served: Iterable[Export]) -> str:
    """The whole configuration."""
    return _HEAD + "".join(_export(export) for export in sorted(served, key=lambda e: e.path))


def _export(export: Export) -> str:
    name = export.path.rsplit("/", 1)[1]
    # The first block that fits a client decides: most specific first, as `grants` gives them.
    clients = "".join(
        f"\tCLIENT {{ Clients = {network}; Protocols = 4; Access_Type = {'RW' if writes else 'RO'}; }}\n"
        for network, writes in exports.grants(export)
    )
    number = export_id(export.uid)
    values = {"number": number, "name": name, "path": export.path, "uid": export.uid, "volume": VOLUME}
    return _EXPORT.format(clients=clients, **values) if clients else ""


def configure(paths: Paths) -> bool:
    """Writes the service, and its configuration but for the exports, which stay; returns whether something changed.

    That is what a server that runs has to be started anew for.
    """
    changed = services.install_unit(paths, SERVICE, _UNIT)
    present = paths.ganesha.read_text() if paths.ganesha.exists() else ""
    if present.startswith(_HEAD):
        return changed
    exported = re.search(r"^EXPORT \{$.*", present, re.MULTILINE | re.DOTALL)
    atomic.write(paths.ganesha, render([]) + (exported[0] if exported else ""))
    return changed or bool(present)


def apply(paths: Paths, served: Iterable[Export]) -> bool:
    """Has the server follow the exports; returns whether anything was done."""
    text = render(served)
    changed = atomic.write(paths.ganesha, text)
    if not changed and drift(paths, text) is None:
        return False
    pid = _running(paths)
    if pid is None:
        services.start_units(paths, [SERVICE])
    else:
        _reload(paths, pid)
        atomic.write(paths.ganesha_loaded, f"{_digest(text)}  -\n")
    settle(paths, text)
    return True


def settle(paths: Paths, text: str | None = None) -> None:
    """Returns when the running server exports all that it was configured to; ``text`` is its configuration.

    A server that starts while the volume cannot be reached, as after a loss of power, leaves those exports out and
    serves on without them: it is asked for them again. Raises NodeError when it does not get that far.
    """
    wanted = paths.ganesha.read_text() if text is None else text
    again = time.monotonic() + AGAIN_SECONDS

    def missing() -> str | None:
        nonlocal again
        wrong = drift(paths, wanted)
        # One that answers on the message bus takes signals, too; before that, one would end it.
        if wrong and time.monotonic() > again and _exported() is not None and (pid := _running(paths)):
            os.kill(pid, signal.SIGHUP)
            again = time.monotonic() + AGAIN_SECONDS
        return wrong

    until(missing, SETTLE_SECONDS, 0.2)


def _reload(paths: Paths, pid: int) -> None:
    log = paths.at("/var/log/ganesha/ganesha.log")
    before = log.stat().st_size

    def missing() -> str | None:
        with log.open("rb") as file:
            file.seek(before if log.stat().st_size >= before else 0)
            return None if _TAKEN_OVER in file.read() else f"The NFS server has not taken its exports over; see {log}"

    os.kill(pid, signal.SIGHUP)
    until(missing, RELOAD_SECONDS, 0.1)


def drift(paths: Paths, text: str) -> str | None:
    """What of the exports is not in force, in words."""
    if not paths.ganesha.exists() or paths.ganesha.read_text() != text:
        return f"{paths.ganesha} is not what this stack asks for."
    try:
        loaded = paths.ganesha_loaded.read_text().split()[0]
    except (FileNotFoundError, IndexError):
        return "The NFS server does not run."
    if loaded != _digest(text):
        return "The NFS server has not taken its exports over."
    wanted, there = _names(text), in_force()
    if wanted != there:
        missing = [f"does not export {', '.join(sorted(wanted - there))}"] if wanted - there else []
        more = [f"still exports {', '.join(sorted(there - wanted))}"] if there - wanted else []
        return f"The NFS server {' and '.join(missing + more)}."
    return None


def in_force() -> set[str]:
    """The exports that the running server has, by their paths."""
    return _exported() or set()


def _exported() -> set[str] | None:
    """What the server says on the message bus; None when it does not answer there."""
    name, place = "org.ganesha.nfsd", "/org/ganesha/nfsd/ExportMgr"
    asked = system.run(
        ["dbus-send", "--system", "--print-reply", f"--dest={name}", place, f"{name}.exportmgr.ShowExports"]
    )
    return set(re.findall(r'string "(/[^"]+)"', asked.stdout)) if not asked.status else None


def _names(text: str) -> set[str]:
    return set(re.findall(r'Pseudo = "([^"]+)"', text))


def _running(paths: Paths) -> int | None:
    try:
        pid = int(paths.at("/run/ganesha/pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
