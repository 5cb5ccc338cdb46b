"""What this node was last asked for, without secrets: read by the steps that come later and by `status`."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from storage_node import atomic
from storage_node.cluster import membership
from storage_node.cluster.membership import Cluster
from storage_node.errors import NodeError
from storage_node.exports import Export
from storage_node.paths import Paths
from storage_node.spec import Configure, Network


@dataclass(frozen=True)
class Node:
    """The settings that `configure` left."""

    name: str
    stack: str
    topology: str
    device: str
    filesystem: str
    data_path: str
    program: str
    ssh: tuple[Network, ...]
    cluster: Cluster | None = None


def store(paths: Paths, spec: Configure) -> None:
    """Keeps the settings of `configure`."""
    value = {
        "name": spec.name,
        "stack": spec.stack,
        "topology": spec.topology,
        "device": spec.device,
        "filesystem": spec.filesystem,
        "dataPath": spec.data_path,
        "program": spec.program,
        "ssh": [str(network) for network in spec.ssh],
        "cluster": None if spec.cluster is None else spec.cluster.values(),
    }
    atomic.private_directory(paths.settings)
    atomic.write_private(paths.node_file, json.dumps(value, indent=1) + "\n")


def load(paths: Paths) -> Node:
    """The settings of this node; raises NodeError when it was never configured."""
    value = _read(paths)
    if value is None:
        raise NodeError("This node has not been configured yet; run `pulumi up`.")
    return Node(
        name=value["name"],
        stack=value["stack"],
        topology=value["topology"],
        device=value["device"],
        filesystem=value["filesystem"],
        data_path=value["dataPath"],
        program=value["program"],
        ssh=tuple(ipaddress.ip_network(text) for text in value["ssh"]),
        cluster=None if value.get("cluster") is None else membership.parse(value["cluster"]),
    )


def cluster_of(paths: Paths) -> Cluster | None:
    """The cluster that this node is a member of, if any."""
    return load(paths).cluster if paths.node_file.exists() else None


def _read(paths: Paths) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = json.loads(paths.node_file.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise NodeError(
            f"{paths.node_file} is damaged; run `pulumi up --refresh` to configure this node again."
        ) from None
    return value


def store_access(paths: Paths, exports: Iterable[Export]) -> None:
    """Keeps who may reach which environment."""
    value = [
        {"path": e.path, "uid": e.uid, "writers": list(map(str, e.writers)), "readers": list(map(str, e.readers))}
        for e in exports
    ]
    atomic.write_private(paths.access_file, json.dumps(value) + "\n")


def access(paths: Paths) -> list[Export]:
    """Who may reach which environment, as last asked for; nobody before the first time."""
    try:
        value = json.loads(paths.access_file.read_text())
    except (FileNotFoundError, ValueError):
        return []
    return [
        Export(
            path=entry["path"],
            uid=entry["uid"],
            writers=tuple(map(ipaddress.ip_network, entry["writers"])),
            readers=tuple(map(ipaddress.ip_network, entry["readers"])),
        )
        for entry in value
    ]
