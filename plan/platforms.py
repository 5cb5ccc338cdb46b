"""Rules that tie settings to the platform that they are for, and the settings that only one platform has."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from plan import hosts

if TYPE_CHECKING:
    from plan.settings import Settings

#: The addresses of a network that the stack makes for itself.
NETWORK = "10.77.0.0/24"

#: A network that is larger than EC2 takes, and one that is too small to be cut into the zones' subnets.
LARGEST_NETWORK, SMALLEST_NETWORK = 16, 24

#: Settings (by field) that mean something on one platform only, and what takes their place on the others.
_ONLY_ON = {
    "cpus": ("local", {"aws": "instanceType decides that", "hosts": "the machines are as they are"}),
    "memory_mb": ("local", {"aws": "instanceType decides that", "hosts": "the machines are as they are"}),
    "instance_type": ("aws", {"local": "cpus and memoryMb decide that"}),
    "network_cidr": ("aws", {}),
    "subnets": ("aws", {}),
    "private_addresses": ("aws", {}),
    "bastion": ("aws", {}),
    "hosts": ("hosts", {}),
    "ssh_private_key": ("hosts", {}),
}

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]+")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")

Finding = tuple[str, str]


def problems(settings: Settings, faulty: Collection[str]) -> list[str]:
    """What is wrong between the platform and the other settings, one sentence each.

    ``faulty`` names the settings (camelCase) that are already complained about: nothing is said of them again.
    """
    if "platform" in faulty:
        return []
    found = _misplaced(settings)
    if settings.platform == "aws":
        for rule in _AWS_RULES:
            found += rule(settings)
    if settings.platform == "hosts":
        found += hosts.problems(settings)
    return [f"backup-storage:{key} {text}" for key, text in found if key.partition("[")[0] not in faulty]


def warnings(settings: Settings) -> list[str]:
    """What is allowed on the platform, but unwise."""
    if settings.platform != "aws":
        return []
    wide = [cidr for cidr in settings.admin_cidrs if ipaddress.ip_network(cidr).prefixlen == 0]
    return [f"backup-storage:adminCidrs opens SSH to the whole internet ({cidr}); name the addresses." for cidr in wide]


def _misplaced(settings: Settings) -> list[Finding]:
    """Settings that the platform does not have; refused, for whoever sets one expects it to do something."""
    found = []
    for name, (platform, instead) in _ONLY_ON.items():
        field = type(settings).model_fields[name]
        if settings.platform != platform and getattr(settings, name) != field.get_default():
            reason = instead.get(settings.platform, "it means nothing here")
            text = f"is a setting of platform {platform}, and this stack's platform is {settings.platform}: {reason}."
            found.append((field.alias or name, f"{text} Take it out."))
    return found


def _region(settings: Settings) -> list[Finding]:
    if _REGION.fullmatch(settings.region):
        return []
    return [("region", f"is {settings.region!r}; platform aws needs an AWS region, such as eu-central-1.")]


def _operators(settings: Settings) -> list[Finding]:
    if settings.admin_cidrs:
        return []
    source = "the bastion's private address" if settings.bastion else "the computer that runs `pulumi up`"
    return [("adminCidrs", f"is empty; on aws it has to name who may reach SSH, {source} first.")]


def _own_network(settings: Settings) -> list[Finding]:
    network = ipaddress.ip_network(settings.network_cidr)
    if settings.subnets:
        if settings.network_cidr != NETWORK:
            return [("networkCidr", "is for a network of the stack's own, and subnets names others. Take one out.")]
        return []
    if network.version != 4 or not LARGEST_NETWORK <= network.prefixlen <= SMALLEST_NETWORK or network.is_global:
        rule = f"a private IPv4 range from /{LARGEST_NETWORK} to /{SMALLEST_NETWORK}, such as {NETWORK}"
        return [("networkCidr", f"is {settings.network_cidr}; it must be {rule}.")]
    return []


def _own_addresses(settings: Settings) -> list[Finding]:
    addresses = settings.private_addresses
    if not settings.subnets:
        if addresses:
            return [("privateAddresses", "is for subnets of yours, and subnets is empty. Take it out, or set subnets.")]
        return []
    if len(addresses) != settings.node_count or len(set(addresses)) != len(addresses):
        count = f"{settings.node_count} {'address' if settings.node_count == 1 else 'different addresses'}"
        text = f"must list {count}, one for each node in the subnets of yours: applications mount the storage by them."
        return [("privateAddresses", text)]
    return [
        ("privateAddresses", f"lists {address}; a node's address is a single IPv4 address.")
        for address in addresses
        if "/" in address or ":" in address
    ]


def _own_subnets(settings: Settings) -> list[Finding]:
    subnets = settings.subnets
    strange = [
        ("subnets", f"lists {name!r}; a subnet's id looks like subnet-0123456789abcdef0.")
        for name in dict.fromkeys(subnets)
        if not _SUBNET.fullmatch(name)
    ]
    twice = sorted({name for name in subnets if subnets.count(name) > 1})
    return strange + [("subnets", f"lists {name} more than once; list it once.") for name in twice]


def _older_protocol(settings: Settings) -> list[Finding]:
    return [
        (f"environments.{name}.clients", f"lists {client}; the nodes on aws have IPv4 addresses only.")
        for name, environment in settings.environments.items()
        for client in environment.clients
        if ":" in client
    ]


_AWS_RULES: tuple[Callable[[Settings], list[Finding]], ...] = (
    _region,
    _operators,
    _own_network,
    _own_subnets,
    _own_addresses,
    _older_protocol,
)
