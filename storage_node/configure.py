"""The `configure` step: from a booted machine to a storage that serves.

Formatting the disk, loading the firewall and writing files wait for different things, so they go side by side;
systemd is then asked once to mount and start everything.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from storage_node import atomic, disk, exports, firewall, install, mount, node, packages, passwords, services
from storage_node.mount import OPTIONS
from storage_node.paths import Paths
from storage_node.spec import Configure


def apply(paths: Paths, spec: Configure, source: Path) -> dict[str, Any]:
    """Brings the node to the specification and says what was done; ``source`` is the running program's file."""
    firewall.refuse_lockout(spec.ssh, firewall.connection())
    packages.install_missing()
    device = disk.wait_for_device(paths.at(spec.device))
    with ThreadPoolExecutor() as pool:
        formatting = pool.submit(_own_disk, paths, spec, device)
        closing = pool.submit(_close, paths, spec)
        checking = pool.submit(packages.require_restic, paths)
        installed = install.install(paths, source)
        restart_nfs = services.configure(paths)
        formatted = formatting.result()
        unit_changed = mount.write_units(paths, spec.data_path, spec.filesystem, OPTIONS)
        _mount(paths, spec, device, reload=unit_changed, restart_nfs=restart_nfs)
        closing.result()
        checking.result()
    _greet_new_disk(paths)
    size = disk.wait_for_size(device, spec.size_gb)
    grown = disk.grow(paths.data, device)
    node.store(paths, spec)
    return {
        "name": spec.name,
        "device": spec.device,
        "filesystem": spec.filesystem,
        "formatted": formatted,
        "grown": grown,
        "sizeBytes": size,
        "installed": installed,
    }


def _own_disk(paths: Paths, spec: Configure, device: Path) -> bool:
    if mount.is_mounted(paths, spec.data_path, device):
        return False
    formatted = disk.prepare(device, spec.filesystem, spec.device)
    mount.prepare_mountpoint(paths.data, spec.data_path)
    return formatted


def _close(paths: Paths, spec: Configure) -> bool:
    """The firewall, with the clients that are known already; the `environments` step brings the others."""
    known = exports.clients(node.access(paths))
    return firewall.apply(paths, firewall.openings(spec.ssh, known))


def _mount(paths: Paths, spec: Configure, device: Path, *, reload: bool, restart_nfs: bool) -> None:
    unit = mount.unit_name(spec.data_path)
    if not services.has_systemd(paths) and not mount.is_mounted(paths, spec.data_path, device):
        mount.mount_now(paths, spec.data_path, device, OPTIONS)
    services.start(paths, [unit], reload=reload, restart_nfs=restart_nfs)
    mount.require(paths.data, spec.data_path)
    mount.is_mounted(paths, spec.data_path, device)
    mount.close_to_users(paths.data)


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
