"""What a node is told of its cluster: the members, the layout, the address that moves, and its own credentials."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage_node.errors import NodeError

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Of so many members, how many a dispersed volume may lose.
REDUNDANCY = {3: 1, 5: 2, 7: 3}
LAYOUTS = ("replicated", "dispersed")


@dataclass(frozen=True)
class Member:
    """One node of the cluster. ``id`` is the UUID by which glusterd knows it, the same for a machine in its place."""

    name: str
    address: str
    id: str


@dataclass(frozen=True)
class Cluster:
    """The cluster as every member knows it; holds no secret."""

    layout: str
    members: tuple[Member, ...]
    floating_address: str | None

    @property
    def majority(self) -> int:
        """How many members decide."""
        return len(self.members) // 2 + 1

    @property
    def data_bricks(self) -> int:
        """Over how many bricks the data itself is spread: a replicated volume has all of it on each."""
        return len(self.members) - REDUNDANCY[len(self.members)] if self.layout == "dispersed" else 1

    def member(self, name: str) -> Member:
        """The member of that name."""
        return next(member for member in self.members if member.name == name)

    def others(self, name: str) -> list[Member]:
        """All members but the one of that name."""
        return [member for member in self.members if member.name != name]

    def values(self) -> dict[str, Any]:
        """The same as plain values, as ``parse`` reads them."""
        return {
            "layout": self.layout,
            "members": [{"name": m.name, "address": m.address, "id": m.id} for m in self.members],
            "floatingAddress": self.floating_address,
        }


@dataclass(frozen=True)
class Credentials:
    """How a member proves that it is one: PEM texts, and the secret that members sign short messages with."""

    private_key: str = field(repr=False)
    certificate: str
    authority: str
    secret: str = field(repr=False)


def parse(value: Any) -> Cluster:
    """Checks what a specification says of the cluster; raises NodeError that names the field."""
    if not isinstance(value, dict):
        raise NodeError("cluster in the specification has to be an object.")
    layout = value.get("layout")
    if layout not in LAYOUTS:
        raise NodeError(f"cluster.layout is {layout!r}; it has to be {' or '.join(LAYOUTS)}.")
    members = tuple(_member(entry, number) for number, entry in enumerate(value.get("members") or []))
    if len(members) not in REDUNDANCY:
        raise NodeError(f"cluster.members has {len(members)} entries; a cluster has 3, 5 or 7.")
    for what in ("name", "address", "id"):
        if len({getattr(member, what) for member in members}) != len(members):
            raise NodeError(f"cluster.members: two of them have the same {what}.")
    floating = value.get("floatingAddress")
    return Cluster(layout, members, None if floating is None else _address(floating, "cluster.floatingAddress"))


def credentials(value: Mapping[str, Any]) -> Credentials:
    """Checks a member's credentials; raises NodeError that names the field, never with what it holds."""
    found = {}
    for key in ("privateKey", "certificate", "authority", "secret"):
        text = value.get(key)
        if not isinstance(text, str) or not text.strip():
            raise NodeError(f"cluster.{key} in the specification is missing.")
        found[key] = text.strip()
    return Credentials(found["privateKey"], found["certificate"], found["authority"], found["secret"])


def _member(value: Any, number: int) -> Member:
    where = f"cluster.members[{number}]"
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        raise NodeError(f"{where} has no name.")
    identity = str(value.get("id", "")).lower()
    if not _UUID.fullmatch(identity):
        raise NodeError(f"{where}.id has to be a UUID.")
    return Member(value["name"], _address(value.get("address"), f"{where}.address"), identity)


def _address(value: Any, where: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise NodeError(f"{where} is {value!r}; it has to be an address.") from None
