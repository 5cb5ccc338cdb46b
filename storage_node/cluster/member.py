"""This node as a member of its cluster: what is written before it takes part, and what runs while it does."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from storage_node import mount, services
from storage_node.cluster import brick, client, donor, filling, ganesha, glusterd, names, watch
from storage_node.cluster.membership import Cluster, Credentials
from storage_node.floating import service as floating
from storage_node.paths import Paths
from storage_node.waiting import until

# A program that starts on a machine that has much else to do.
KEEPER_SECONDS = 300.0


def configure(paths: Paths, name: str, cluster: Cluster, credentials: Credentials, *, renewed: bool) -> str:
    """Makes this node a member that runs glusterd, on a mounted data disk; returns its brick's directory.

    A fresh disk in a lost one's place is filled by a copy. What a running member needs to follow a change is done too:
    a restarted glusterd, bricks and clients going on.
    ``renewed``: whether this program was just installed, so that what runs of it is older.
    """
    _prepare_mountpoint(paths)
    mounted = client.configure(paths, name, cluster)
    watched = (paths.units / watch.SERVICE).exists()
    server, watcher = ganesha.configure(paths), watch.configure(paths)
    giver = cluster.layout == "replicated" and donor.configure(paths)
    keeper = cluster.floating_address is not None and floating.configure(paths, credentials.secret)
    names.configure(paths, cluster)
    restart = glusterd.configure(paths, name, cluster, credentials)
    place = brick.ensure(paths, partial(filling.fill, paths, name, cluster))
    if mounted or server or watcher or giver or keeper or restart:
        services.reload_units(paths, units(cluster))
    glusterd.start(paths, restart=restart)
    if server:
        services.restart_if_active(paths, ganesha.SERVICE)
    if keeper:
        # Its messages would not be believed by members that have begun with the new secret.
        services.restart_if_active(paths, floating.SERVICE)
    if watched and renewed:
        services.restart_if_active(paths, watch.SERVICE)
    return place


def _prepare_mountpoint(paths: Paths) -> None:
    if mount.mounted_at(paths.data) is None:
        mount.prepare_mountpoint(paths.data, paths.data_path)


def serve(paths: Paths, cluster: Cluster) -> None:
    """Has everything running that serves the environments, /data first. The volume has to have been started."""
    services.launch_unit(paths, client.SERVICE)
    client.await_mounted(paths)
    mount.close_to_users(paths.data)
    services.start_units(paths, [unit for unit in units(cluster) if unit not in (client.SERVICE, floating.SERVICE)])
    if cluster.floating_address is not None:
        if not floating.is_current(paths, cluster):
            services.reload_if_active(paths, floating.SERVICE)
        services.start_units(paths, [floating.SERVICE])


def await_served(paths: Paths, cluster: Cluster) -> None:
    """Waits until what ``serve`` started has begun its work: systemd does not wait for all of it."""
    missing = f"The keeper of the floating address has not begun yet; see `systemctl status {floating.SERVICE}`"
    if cluster.floating_address is not None and services.has_systemd(paths):
        until(lambda: None if floating.is_current(paths, cluster) else missing, KEEPER_SECONDS)


def units(cluster: Cluster) -> list[str]:
    """The units that have to run on a member, beside those that run on every node."""
    moving = [floating.SERVICE] if cluster.floating_address is not None else []
    giving = [donor.SOCKET] if cluster.layout == "replicated" else []
    return [glusterd.SERVICE, watch.SERVICE, client.SERVICE, ganesha.SERVICE, *giving, *moving]


def files(paths: Paths, name: str, cluster: Cluster) -> dict[Path, str]:
    """The files of ours on a member, without secrets, and what is in them."""
    found = glusterd.files(paths)
    found |= client.files(paths, name, cluster)
    found |= ganesha.unit_files(paths) | watch.unit_files(paths)
    found |= donor.unit_files(paths) if cluster.layout == "replicated" else {}
    return found | (floating.unit_files(paths) if cluster.floating_address is not None else {})
