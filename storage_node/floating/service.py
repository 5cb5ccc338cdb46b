"""The keeper as a service of the node."""

from __future__ import annotations

import json
from pathlib import Path

from storage_node import atomic, node, passwords, services
from storage_node.cluster.membership import Cluster
from storage_node.errors import NodeError
from storage_node.paths import Paths

SERVICE = "storage-node-address.service"

# Killed or hung, it costs nothing but a lease: the kernel takes the address off by itself.
_UNIT = """\
# Written by storage-node.
[Unit]
Description=Backup storage: the address that moves
After=nfs-ganesha.service network.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/sbin/storage-node address
ExecReload=/bin/kill -HUP $MAINPID
RuntimeDirectory=storage-node
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


def unit_files(paths: Paths) -> dict[Path, str]:
    """The service's files."""
    return {paths.units / SERVICE: _UNIT}


def configure(paths: Paths, secret: str) -> bool:
    """Writes the service and its secret; returns whether a keeper that runs may have begun with others."""
    another = passwords.read(paths.cluster_secret) not in (None, secret)
    passwords.write(paths.cluster_secret, secret)
    return services.install_unit(paths, SERVICE, _UNIT) or another


def run(paths: Paths) -> int:
    """Keeps the address until told to stop."""
    from storage_node.floating.keeper import Keeper  # noqa: PLC0415

    def cluster() -> Cluster:
        found = node.load(paths).cluster
        if found is None or found.floating_address is None:
            raise NodeError("This node is no member of a cluster with a floating address.")
        return found

    secret = passwords.read(paths.cluster_secret)
    if secret is None:
        raise NodeError("This node has no secret to sign messages about the floating address with.")
    keeper = Keeper(cluster(), node.load(paths).name, secret, paths.floating_state)
    keeper.run(cluster, lambda known: atomic.write(paths.floating_members, repr(known)))
    return 0


def is_current(paths: Paths, cluster: Cluster) -> bool:
    """Whether the keeper that runs knows the cluster as it is: it reads who the members are when it is told to."""
    try:
        return paths.floating_members.read_text() == repr(cluster)
    except FileNotFoundError:
        return False


def holder(paths: Paths, cluster: Cluster) -> str | None:
    """Who holds the address as far as this node knows; None when nobody does or the keeper does not run."""
    try:
        value = json.loads(paths.floating_state.read_text())
    except (FileNotFoundError, ValueError):
        return None
    known = {member.name for member in cluster.members}
    return value["holder"] if value.get("holder") in known else None
