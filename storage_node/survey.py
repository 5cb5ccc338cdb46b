"""Looks at a machine that exists already, before anything of it is changed: what would keep it from being a node?

Run from memory, on a machine on which nothing of this program is installed yet. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from storage_node import disk, firewall, node, spec
from storage_node.errors import NodeError
from storage_node.paths import Paths


@dataclass(frozen=True)
class Wanted:
    """What the machine is to be: which node of which stack, with which disk, and who may use SSH there."""

    stack: str
    name: str
    device: str
    filesystem: str
    size_gb: int
    ssh: tuple[spec.Network, ...]


def wanted(value: Mapping[str, Any]) -> Wanted:
    """Reads the specification; raises NodeError that names what is wrong in it."""
    try:
        texts = {key: str(value[key]) for key in ("stack", "name", "device", "filesystem")}
        return Wanted(**texts, size_gb=int(value["sizeGb"]), ssh=spec.networks(value["ssh"], "ssh"))
    except KeyError as error:
        raise NodeError(f"{error.args[0]} in the specification is missing.") from None


def problems(paths: Paths, asked: Wanted, connection: str | None) -> list[str]:
    """Everything that is wrong, one sentence each; ``connection`` is what sshd says of this session."""
    return [*_access(asked, connection), *_owner(paths, asked), *_disk(paths, asked)]


def _access(asked: Wanted, connection: str | None) -> Iterator[str]:
    try:
        firewall.refuse_lockout(asked.ssh, connection)
    except NodeError as error:
        yield str(error)
    port = int(connection.split()[3]) if connection else firewall.SSH_PORT
    if port != firewall.SSH_PORT:
        yield (
            f"Its SSH server listens on port {port}, and a node's firewall lets nobody in but on port "
            f"{firewall.SSH_PORT}; have sshd listen there too."
        )


def _owner(paths: Paths, asked: Wanted) -> Iterator[str]:
    """A node of another stack would lose its firewall, its exports and its program to this one."""
    try:
        present = node.load(paths)
    except NodeError:
        return
    if (present.stack, present.name) != (asked.stack, asked.name):
        yield (
            f"It is {present.name} of stack {present.stack} already; take it out of that stack, and remove "
            f"{paths.settings} once that is done."
        )


def _disk(paths: Paths, asked: Wanted) -> Iterator[str]:
    device = paths.at(asked.device)
    if not device.exists():
        names = sorted(path.name for path in paths.at("/dev/disk/by-id").glob("*") if "-part" not in path.name)
        yield f"It has no disk {asked.device}; /dev/disk/by-id has {', '.join(names) or 'none'}."
        return
    size, found = disk.size_of(device), disk.inspect(device, asked.filesystem)
    if size < asked.size_gb * 10**9:
        yield f"Its data disk {asked.device} has {size / 10**9:.1f} GB, less than the {asked.size_gb} GB of sizeGb."
    if found.kind == "foreign":
        yield disk.refusal(found, asked.device, asked.filesystem)
