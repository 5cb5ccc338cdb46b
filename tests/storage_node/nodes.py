"""Helpers of the node program's tests: specifications, the packed program, and stand-ins for system services."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage_node import node, spec, system
from storage_node.cluster import membership
from storage_node.cluster.membership import Cluster
from storage_node.paths import Paths

PACKAGE = Path(system.__file__).parent
#: The ids of a cluster's members.
UUIDS = [f"0b6ae2ff-0000-4000-8000-00000000000{number}" for number in range(1, 8)]


class Services:
    """Stands in for the NFS server's and the firewall's programs, and remembers what was run."""

    def __init__(self, paths: Paths, run: Callable[..., system.Result]) -> None:
        self.paths = paths
        self.ran: list[tuple[str, ...]] = []
        self.before: Callable[[Sequence[str]], None] = lambda _: None
        self.after: Callable[[Sequence[str]], None] = lambda _: None
        self._run = run

    def run(self, arguments: Sequence[str], **options: Any) -> system.Result:
        self.ran.append(tuple(arguments))
        self.before(arguments)
        result = self._answer(arguments, options)
        self.after(arguments)
        return result

    def _answer(self, arguments: Sequence[str], options: dict[str, Any]) -> system.Result:
        if arguments[0] == "exportfs":
            table = self.paths.export_table
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text(etab(self.paths.exports.read_text()))
            return system.Result(0, "", "")
        if arguments[0] == "nft":
            return system.Result(0, "", "")
        return self._run(arguments, **options)

    def programs(self) -> list[str]:
        return [arguments[0] for arguments in self.ran]


def etab(text: str) -> str:
    """A file of exports as exportfs keeps it: a line for each path and client."""
    lines: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            path, *clients = line.split()
            lines += [f"{path}\t{client}" for client in clients]
    return "".join(f"{line}\n" for line in lines)


def password() -> str:
    return secrets.token_hex(16)


def entry(word: str, clients: Sequence[str] = ("10.77.0.101",), **readers: tuple[str, str]) -> dict[str, Any]:
    """One environment in a specification; each reader as (password, client)."""
    granted = {name: {"password": key, "clients": [client]} for name, (key, client) in readers.items()}
    return {"password": word, "generation": 1, "clients": list(clients), "readers": granted}


def environments_spec(**environments: dict[str, Any]) -> spec.Environments:
    """A specification of environments, checked as the program checks it."""
    return spec.environments({"program": "0" * 64, "dataPath": "/data", "environments": environments})


def configure_spec(**changes: Any) -> spec.Configure:
    """A specification of `configure`, checked as the program checks it."""
    value = {
        "program": "0" * 64,
        "name": "dev-storage-1",
        "stack": "dev",
        "topology": "standalone",
        "device": "/dev/disk/by-id/virtio-data",
        "filesystem": "0b6ae2ff-0000-4000-8000-000000000001",
        "dataPath": "/data",
        "sizeGb": 10,
        "firewall": {"ssh": ["10.0.2.2/32"]},
    }
    return spec.configure({**value, **changes})


def cluster_spec(count: int = 3, **changes: Any) -> dict[str, Any]:
    """The specification of a cluster."""
    members = [{"name": f"storage-{i + 1}", "address": f"10.77.0.{11 + i}", "id": UUIDS[i]} for i in range(count)]
    return {"layout": "replicated", "floatingAddress": "10.77.0.10", "members": members, **changes}


def cluster(count: int = 3, **changes: Any) -> Cluster:
    """A cluster as the program reads it from its specification."""
    return membership.parse(cluster_spec(count, **changes))


def store_member(paths: Paths, name: str, known: Cluster) -> None:
    """What a member of the cluster, of that name, knows once it is configured."""
    credentials = dict.fromkeys(("privateKey", "certificate", "authority", "secret"), "PEM")
    node.store(paths, configure_spec(name=name, topology="cluster", cluster={**known.values(), **credentials}))


def pack(target: Path) -> None:
    """The node program as one file, as it is shipped."""
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__main__.py", "from storage_node.cli import main\n\nraise SystemExit(main())\n")
            for source in sorted(PACKAGE.rglob("*.py")):
                archive.write(source, str(source.relative_to(PACKAGE.parent)))
