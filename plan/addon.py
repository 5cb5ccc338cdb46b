"""The contract with the backup add-on on the application side, version 1.

``addon.schema.json`` beside this file describes the same shape for other programs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plan.environments import Environment
from plan.passwords import password_key
from plan.settings import Settings

CONTRACT_VERSION = 1

#: Where the repositories are on a storage node.
DATA_PATH = "/data"

#: Where the add-on mounts them on an application machine.
MOUNT_POINT = "/opt/backup"

#: ``hard`` because a soft mount can lose writes without a word; the rest because nothing on a backup storage is
#: ever a program or a device.
MOUNT_OPTIONS = "vers=4.2,proto=tcp,hard,noatime,nosuid,nodev,noexec,_netdev"

#: With an address that moves between nodes, a client has to notice a dead server and dial anew. Linux ends a connection
#: on which nothing was acknowledged for (retrans + 1) * timeo, in tenths of a second (TCP_USER_TIMEOUT, set in its
#: net/sunrpc/xprtsock.c): after 6 s, when the address has moved, where the default is minutes.
FAILOVER_OPTIONS = f"{MOUNT_OPTIONS},timeo=20,retrans=2"


@dataclass(frozen=True)
class NodeFacts:
    """What is known of a storage node once it exists; ``hostKey`` in authorized_keys form."""

    name: str
    address: str
    private_address: str
    ssh_port: int
    host_key: str

    def output(self) -> dict[str, Any]:
        """The node as it stands in the outputs."""
        return {
            "name": self.name,
            "address": self.address,
            "privateAddress": self.private_address,
            "sshPort": self.ssh_port,
            "hostKey": self.host_key,
        }


def build(
    settings: Settings,
    *,
    project: str,
    stack: str,
    nodes: Sequence[NodeFacts],
    passwords: Mapping[str, str],
    floating_address: str | None = None,
) -> dict[str, Any]:
    """The ``addon`` output. ``passwords`` is keyed as ``plan.passwords`` says; the result holds secrets.

    floating_address: the address of a cluster that is always on one living node; its mounts come first.
    """
    hosts = [node.private_address for node in nodes]
    sources = [floating_address, *hosts] if floating_address else hosts
    options = FAILOVER_OPTIONS if settings.topology == "cluster" else MOUNT_OPTIONS
    return {
        "version": CONTRACT_VERSION,
        "name": project,
        "stack": stack,
        "region": settings.region,
        "topology": settings.topology,
        "projectScope": settings.project_scope,
        "dataPath": DATA_PATH,
        "mountPoint": MOUNT_POINT,
        "nodes": [node.output() for node in nodes],
        "environments": {
            name: {
                "password": passwords[password_key(name)],
                "repository": f"{MOUNT_POINT}/{name}",
                "mounts": _mounts(name, sources, options),
                "restoreFrom": {
                    other: {
                        "repository": f"{MOUNT_POINT}/{other}",
                        "password": passwords[password_key(other, reader=name)],
                        "mounts": _mounts(other, sources, f"ro,{options}"),
                    }
                    for other in readable_by(name, settings.environments)
                },
            }
            for name in sorted(settings.environments)
        },
    }


def readable_by(reader: str, environments: Mapping[str, Environment]) -> list[str]:
    """The environments that name ``reader`` as a reader of theirs."""
    return sorted(name for name, environment in environments.items() if reader in environment.readers)


def share(addon: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """The part of the ``addon`` output that one environment's add-on may see, complete in itself.

    Raises KeyError with a sentence where there is no such environment.
    """
    if environment not in addon["environments"]:
        known = ", ".join(sorted(addon["environments"])) or "none"
        raise KeyError(f"There is no environment {environment} in stack {addon['stack']}; there are: {known}.")
    return {**addon, "environments": {environment: addon["environments"][environment]}}


def _mounts(name: str, sources: Sequence[str], options: str) -> list[dict[str, str]]:
    return [
        {
            "type": "nfs4",
            "source": f"{source}:{DATA_PATH}/{name}",
            "target": f"{MOUNT_POINT}/{name}",
            "options": options,
        }
        for source in sources
    ]
