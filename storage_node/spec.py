"""What the steps are asked for: JSON from stdin, checked as a whole before anything is touched."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage_node import names
from storage_node.cluster import membership
from storage_node.cluster.membership import Cluster, Credentials
from storage_node.errors import NodeError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Shorter ones can be guessed; the operator's side generates 32 and more.
MINIMUM_PASSWORD = 16


@dataclass(frozen=True)
class Configure:
    """What `configure` is asked for. Sizes in GB are decimal (10^9 bytes), as disks are sold."""

    program: str
    name: str
    stack: str
    topology: str
    device: str
    filesystem: str
    data_path: str
    size_gb: int
    ssh: tuple[Network, ...]
    cluster: Cluster | None = None
    credentials: Credentials | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Volume:
    """What `volume` is asked for: the cluster, and each member's brick directory."""

    program: str
    cluster: Cluster
    bricks: Mapping[str, str]


@dataclass(frozen=True)
class Reader:
    """A reader's own key to someone else's repository and the addresses that it reads from."""

    password: str = field(repr=False)
    clients: tuple[Network, ...]


@dataclass(frozen=True)
class Environment:
    """One environment: its password, who reaches its repository, who may read it."""

    password: str = field(repr=False)
    clients: tuple[Network, ...]
    readers: Mapping[str, Reader]


@dataclass(frozen=True)
class Environments:
    """What `environments` is asked for."""

    program: str
    data_path: str
    environments: Mapping[str, Environment]


def parse_json(text: str) -> dict[str, Any]:
    """Reads the one JSON object on stdin."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise NodeError(f"stdin does not hold one JSON object: {str(error).split(':')[0]}.") from None
    if not isinstance(value, dict):
        raise NodeError("stdin does not hold one JSON object.")
    return value


def configure(value: Mapping[str, Any]) -> Configure:
    """Checks the specification of `configure`; raises NodeError that names the field."""
    filesystem = _text(value, "filesystem").lower()
    if not _UUID.fullmatch(filesystem):
        raise NodeError("filesystem in the specification has to be a UUID, such as 0b6ae2ff-….")
    topology = _text(value, "topology")
    if topology not in ("standalone", "cluster"):
        raise NodeError(f"topology in the specification is {topology!r}; it has to be standalone or cluster.")
    size = value.get("sizeGb")
    if not isinstance(size, int) or size < 1:
        raise NodeError("sizeGb in the specification has to be a whole number of GB.")
    firewall = value.get("firewall")
    if not isinstance(firewall, dict):
        raise NodeError("firewall in the specification is missing: it says who may reach SSH.")
    name = _text(value, "name")
    cluster, credentials = (None, None) if topology == "standalone" else _member(value, name)
    return Configure(
        program=_text(value, "program"),
        name=name,
        stack=_text(value, "stack"),
        topology=topology,
        device=_path(value, "device"),
        filesystem=filesystem,
        data_path=_path(value, "dataPath"),
        size_gb=size,
        ssh=networks(firewall.get("ssh"), "firewall.ssh"),
        cluster=cluster,
        credentials=credentials,
    )


def _member(value: Mapping[str, Any], name: str) -> tuple[Cluster, Credentials]:
    cluster = membership.parse(value.get("cluster"))
    if all(member.name != name for member in cluster.members):
        raise NodeError(f"cluster.members in the specification do not name this node, {name}.")
    return cluster, membership.credentials(value["cluster"])


def volume(value: Mapping[str, Any]) -> Volume:
    """Checks the specification of `volume`; raises NodeError that names the field."""
    cluster = membership.parse(value.get("cluster"))
    bricks = value.get("bricks")
    if not isinstance(bricks, dict):
        raise NodeError("bricks in the specification has to be an object, member to directory.")
    missing = [member.name for member in cluster.members if member.name not in bricks]
    if missing:
        raise NodeError(f"bricks in the specification does not name the directories of {', '.join(missing)}.")
    return Volume(_text(value, "program"), cluster, {name: _path(bricks, name) for name in bricks})


def environments(value: Mapping[str, Any]) -> Environments:
    """Checks the specification of `environments`; raises NodeError that names the environment."""
    entries = value.get("environments")
    if not isinstance(entries, dict):
        raise NodeError("environments in the specification has to be an object, name to settings.")
    return Environments(
        program=_text(value, "program"),
        data_path=_path(value, "dataPath"),
        environments={name: _environment(name, entry) for name, entry in sorted(entries.items())},
    )


def _environment(name: str, value: Any) -> Environment:
    if not names.is_environment_name(name):
        raise NodeError(f"{name!r} cannot be an environment's name: {names.RULE}.")
    where = f"environments.{name}"
    readers = value.get("readers") or {}
    for reader in readers:
        if not names.is_environment_name(reader):
            raise NodeError(f"{where}.readers: {reader!r} cannot be an environment's name: {names.RULE}.")
    return Environment(
        password=_password(value, where),
        clients=networks(value.get("clients"), f"{where}.clients"),
        readers={
            reader: Reader(
                password=_password(entry, f"{where}.readers.{reader}"),
                clients=networks(entry.get("clients"), f"{where}.readers.{reader}.clients"),
            )
            for reader, entry in sorted(readers.items())
        },
    )


def networks(value: Any, where: str) -> tuple[Network, ...]:
    """Reads a list of addresses and CIDR blocks; raises NodeError that names the wrong one."""
    if not isinstance(value, list):
        raise NodeError(f"{where} has to be a list of addresses and CIDR blocks.")
    found: list[Network] = []
    for item in value:
        try:
            network = ipaddress.ip_network(item, strict=False)
        except (ValueError, TypeError):
            raise NodeError(f"{where}: {item!r} is neither an address nor a CIDR block.") from None
        if network not in found:
            found.append(network)
    return tuple(found)


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not found or any(ord(c) < 32 for c in found):
        raise NodeError(f"{key} in the specification has to be a line of text.")
    return found


def _path(value: Mapping[str, Any], key: str) -> str:
    found = _text(value, key)
    if not re.fullmatch(r"(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)+", found):
        raise NodeError(f"{key} in the specification is {found!r}; it has to be an absolute path of plain characters.")
    return found


def _password(value: Any, where: str) -> str:
    found = value.get("password") if isinstance(value, dict) else None
    if not isinstance(found, str) or len(found) < MINIMUM_PASSWORD or not found.isprintable() or found.strip() != found:
        raise NodeError(f"{where}.password has to be one line of at least {MINIMUM_PASSWORD} characters.")
    return found
