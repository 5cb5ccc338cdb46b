"""The `configure` step: from a booted machine to a storage that serves.

Formatting the disk, loading the firewall and writing files wait for different things, so they go side by side;
systemd is then asked once to mount and start everything.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from storage_node import atomic, disk, exports, firewall, install, mount, node, packages, passwords, services
from storage_node.cluster import member
from storage_node.paths import Paths
from storage_node.spec import Configure


def apply(paths: Paths, spec: Configure, source: Path) -> dict[str, Any]:
    """Brings the node to the specification and says what was done; ``source`` is the running program's file."""
    firewall.refuse_lockout(spec.ssh, firewall.connection())
    packages.settle(paths, spec.topology)
    device = disk.wait_for_device(paths.at(spec.device))
    with ThreadPoolExecutor() as pool:
        formatting = pool.submit(_own_disk, paths, spec, device)
        closing = pool.submit(_close, paths, spec)
        checking = pool.submit(packages.require_restic, paths)
        installed = install.install(paths, source)
        restart_nfs = services.configure(paths, spec.topology)
        formatted = formatting.result()
        where, options = _place(paths, spec)
        unit_changed = mount.write_units(paths, where, spec.filesystem, options, nfs=spec.cluster is None)
        _mount(paths, spec, device, reload=unit_changed, restart_nfs=restart_nfs)
        closing.result()
        checking.result()
    size = disk.wait_for_size(device, spec.size_gb)
    grown = disk.grow(paths.at(where), device)
    node.store(paths, spec)
    brick = None
    if spec.cluster is None:
        mount.close_to_users(paths.data)
        _greet_new_disk(paths)
    elif spec.credentials is not None:
        brick = member.configure(paths, spec.name, spec.cluster, spec.credentials, renewed=installed)
    return {
        "name": spec.name,
        "device": spec.device,
        "filesystem": spec.filesystem,
        "formatted": formatted,
        "grown": grown,
        "sizeBytes": size,
        "installed": installed,
        "brick": brick,
    }


def _place(paths: Paths, spec: Configure) -> tuple[str, str]:
    """Where the data disk goes and how it is mounted: it is the shared directory, or a brick of the volume that is."""
    return (spec.data_path, mount.OPTIONS) if spec.cluster is None else (paths.brick_mount, mount.BRICK_OPTIONS)


def _own_disk(paths: Paths, spec: Configure, device: Path) -> bool:
    where, _ = _place(paths, spec)
    if mount.is_mounted(paths, where, device):
        return False
    formatted = disk.prepare(device, spec.filesystem, spec.device)
    mount.prepare_mountpoint(paths.at(where), where)
    return formatted


def _close(paths: Paths, spec: Configure) -> bool:
    """The firewall, with the clients that are known already; the `environments` step brings the others."""
    known = exports.clients(node.access(paths))
    return firewall.apply(paths, firewall.ruleset(spec.ssh, known, spec.name, spec.cluster))


def _mount(paths: Paths, spec: Configure, device: Path, *, reload: bool, restart_nfs: bool) -> None:
    where, options = _place(paths, spec)
    if not services.has_systemd(paths) and not mount.is_mounted(paths, where, device):
        mount.mount_now(paths, where, device, options)
    units = [mount.unit_name(where), *services.running(paths, spec.topology)]
    services.start(paths, units, reload=reload, restart_nfs=restart_nfs)
    mount.require(paths.at(where), where)
    mount.is_mounted(paths, where, device)


def _greet_new_disk(paths: Paths) -> None:
    """On a disk that this node sees for the first time blank, no earlier repository can be there.

    Their passwords no longer promise them, so the `environments` step may make them anew.
    """
    own = paths.uid_counter.parent
    if own.is_dir():
        return
    for name in passwords.active(paths):
        if not paths.repository(name).exists():
            passwords.withdraw(paths, name)
    atomic.private_directory(own)
