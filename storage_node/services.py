"""The services of a node: NFSv4 without its older parts, time, security updates, SSH by key only.

Units are enabled by their links and configured by files; systemd is asked once to start what has to run. New unit
files need no daemon-reload (systemd reads a unit when it first needs it); only changed ones do.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from storage_node import atomic, system
from storage_node.paths import Paths
from storage_node.waiting import until

# The time a client waits for the server after a restart (grace) and after which a dead client's locks go (lease).
_NFS_CONF = """\
# Written by storage-node.
[nfsd]
vers3=n
vers4.0=n
grace-time=20
lease-time=10
"""

_UPDATES = """\
// Written by storage-node: security updates every day, never a reboot in the middle of a backup.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Automatic-Reboot "false";
"""

_SSHD = """\
# Written by storage-node.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
X11Forwarding no
"""

_METRICS_SERVICE = """\
[Unit]
Description=Backup storage: figures for monitoring

[Service]
Type=oneshot
Nice=10
ExecStart=/usr/local/sbin/storage-node metrics
"""

_METRICS_TIMER = """\
[Unit]
Description=Backup storage: figures for monitoring

[Timer]
OnBootSec=2min
OnUnitInactiveSec=5min

[Install]
WantedBy=timers.target
"""

# For how long a unit that does not start is tried again, and how long it is left in peace between: systemd refuses a
# sixth start within ten seconds (systemd-system.conf(5), DefaultStartLimitBurst).
START_SECONDS = 30.0
START_AGAIN_SECONDS = 3.0

METRICS_TIMER = "storage-node-metrics.timer"
NFS_SERVER = "nfs-server.service"
# The first that is installed keeps the time; both at once would fight.
TIME_SERVICES = ("chrony.service", "ntpsec.service", "systemd-timesyncd.service")
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
# NFSv4 needs none of them; masked, they neither listen nor delay the server's start.
UNWANTED = ("rpcbind.service", "rpcbind.socket", "rpc-statd.service", "rpc-statd-notify.service", "nfs-blkmap.service")


def files(paths: Paths, topology: str) -> dict[Path, str]:
    """The configuration files of ours on every node, and what is in them."""
    found = {
        # The first value wins in sshd_config, and its drop-ins are read in the order of their names.
        paths.at("/etc/ssh/sshd_config.d/10-backup-storage.conf"): _SSHD,
        paths.units / "storage-node-metrics.service": _METRICS_SERVICE,
        paths.units / METRICS_TIMER: _METRICS_TIMER,
    }
    if paths.at("/etc/apt").is_dir():
        found[paths.at("/etc/apt/apt.conf.d/52backup-storage")] = _UPDATES
    if topology == "standalone":
        found[paths.nfs_conf] = _NFS_CONF
    return found


def configure(paths: Paths, topology: str) -> bool:
    """Writes the configuration files and links; returns whether the kernel's NFS server's own settings changed."""
    changed = {path for path, content in files(paths, topology).items() if atomic.write(path, content)}
    if any("sshd_config.d" in path.parts for path in changed):
        _reload_sshd(paths)
    for unit in UNWANTED:
        atomic.link(paths.units / unit, "/dev/null")
    for unit in running(paths, topology):
        target = "timers.target.wants" if unit.endswith(".timer") else "multi-user.target.wants"
        if "timesyncd" in unit:
            target = "sysinit.target.wants"
        place = "/etc" if unit == METRICS_TIMER else "/usr/lib"
        atomic.link(paths.units / target / unit, f"{place}/systemd/system/{unit}")
    return paths.nfs_conf in changed


def running(paths: Paths, topology: str) -> list[str]:
    """The units that have to run on this node, whatever it serves through."""
    time = next((unit for unit in TIME_SERVICES if (paths.vendor_units / unit).exists()), None)
    timers = [unit for unit in TIMERS if (paths.vendor_units / unit).exists()]
    nfs = [NFS_SERVER] if topology == "standalone" else []
    return [*nfs, *([time] if time else []), METRICS_TIMER, *timers]


def start(paths: Paths, units: Sequence[str], *, reload: bool, restart_nfs: bool) -> None:
    """Has systemd start the units, in its own order, and waits for them. Units that run are left alone."""
    if not has_systemd(paths):
        return
    if reload:
        reload_units(paths, units)
    if paths.at("/run/rpcbind.sock").exists():
        system.run(["systemctl", "stop", "rpcbind.socket", "rpcbind.service"])
    if restart_nfs and _nfs_runs(paths):
        system.must(["systemctl", "restart", NFS_SERVER], "Restarting the NFS server")
    start_units(paths, units)


def install_unit(paths: Paths, unit: str, content: str) -> bool:
    """Writes a unit's file and has it started at boot; returns whether systemd may know an older content of it."""
    changed = write_unit(paths, unit, content)
    atomic.link(paths.units / "multi-user.target.wants" / unit, f"/etc/systemd/system/{unit}")
    return changed


def write_unit(paths: Paths, unit: str, content: str) -> bool:
    """Writes the file of a unit that others start; returns whether systemd may know an older content of it."""
    file = paths.units / unit
    known = file.exists()
    return atomic.write(file, content) and known


def reload_units(paths: Paths, units: Sequence[str]) -> None:
    """Has systemd read changed unit files, where it knows an older content of one of these units.

    Reading takes a second on an emulated machine, and on a fresh one systemd has not read any of ours yet.
    """
    if not has_systemd(paths):
        return
    if "yes" in system.run(["systemctl", "show", "--value", "--property=NeedDaemonReload", *units]).stdout.split():
        system.must(["systemctl", "daemon-reload"], "Reading the changed units")


def restart_if_active(paths: Paths, unit: str) -> None:
    """Has a unit that runs start anew; one that does not is left alone."""
    if has_systemd(paths):
        system.must(["systemctl", "try-restart", unit], f"Restarting {unit}")


def renew_unit(paths: Paths, unit: str) -> None:
    """Has a unit start anew, without waiting for it."""
    if has_systemd(paths):
        system.must(["systemctl", "restart", "--no-block", unit], f"Restarting {unit}")


def reload_if_active(paths: Paths, unit: str) -> None:
    """Has a unit that runs read its settings again; one that does not is left alone."""
    if has_systemd(paths):
        system.must(["systemctl", "try-reload-or-restart", unit], f"Reloading {unit}")


def start_units(paths: Paths, units: Sequence[str]) -> None:
    """Starts units and waits for them; raises NodeError that names those that did not start, and their last words.

    What fails is tried again: a disk was seen not to be mounted on a busy machine that had just formatted it.
    """
    if has_systemd(paths):
        until(partial(_not_started, units), START_SECONDS, START_AGAIN_SECONDS)


def _not_started(units: Sequence[str]) -> str | None:
    result = system.run(["systemctl", "start", *units])
    if not result.status:
        return None
    return _trouble(units) or f"Starting {', '.join(units)} failed: {result.last_words}"


def _trouble(units: Sequence[str]) -> str:
    """Which of the units did not start, in one sentence each."""
    failed = [unit for unit in units if system.run(["systemctl", "is-active", "--quiet", unit]).status]
    return " ".join(
        f"{unit} did not start ({_last_words(unit)}); see `journalctl -b -u {unit}` on this node." for unit in failed
    )


def _last_words(unit: str) -> str:
    lines = ["journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", "--lines=3", f"--unit={unit}"]
    said = [line.strip().rstrip(".") for line in system.run(lines).stdout.splitlines()]
    return "; ".join(said) or "its journal says nothing"


def launch_unit(paths: Paths, unit: str) -> None:
    """Has a unit started that tries again by itself until it succeeds; the caller waits for what it brings about."""
    if has_systemd(paths):
        system.must(["systemctl", "start", "--no-block", unit], f"Starting {unit}")


def has_systemd(paths: Paths) -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return paths.at("/run/systemd/system").is_dir()


def _nfs_runs(paths: Paths) -> bool:
    try:
        return int(paths.at("/proc/fs/nfsd/threads").read_text()) > 0
    except (OSError, ValueError):
        return False


def _reload_sshd(paths: Paths) -> None:
    """Has the listening sshd read its settings again; sessions go on."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(paths.at("/run/sshd.pid").read_text()), signal.SIGHUP)
