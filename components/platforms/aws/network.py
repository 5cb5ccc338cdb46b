"""Where the nodes go: subnets of the user's, or a small network of the stack's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from plan.aws import firewall, layout
from plan.aws.facts import Facts
from plan.settings import Settings


@dataclass(frozen=True)
class Slot:
    """One subnet and its zone; ``cut`` are its addresses where the subnet is the stack's own."""

    subnet: pulumi.Input[str]
    zone: pulumi.Input[str]
    cut: IPv4Network | None = None


@dataclass(frozen=True)
class Network:
    """A network and the subnets in it that nodes take in turn."""

    id: pulumi.Input[str]
    slots: Sequence[Slot]

    def slot(self, index: int) -> Slot:
        """Where the ``index``-th node goes."""
        return self.slots[layout.place(index, len(self.slots))]


def address(settings: Settings, slot: Slot, index: int) -> str:
    """The private address of the ``index``-th node, which stays its own when its instance is replaced."""
    return layout.address(slot.cut, index) if slot.cut else settings.private_addresses[index - 1]


def of_the_user(settings: Settings, facts: Facts) -> Network:
    """The user's subnets, as the preflight has found them."""
    known = facts.subnets or {}
    chosen = [known[name] for name in settings.subnets]
    return Network(chosen[0].network, [Slot(subnet.id, subnet.zone) for subnet in chosen])


def of_its_own(settings: Settings, facts: Facts, labels: dict[str, str], opts: pulumi.ResourceOptions) -> Network:
    """Registers a network with a way out and one subnet for each zone that nodes are in.

    It has no NAT gateway, which would cost more than a node: each node has a public address for its way out, and the
    security group keeps everybody else from using it.
    """
    network = aws.ec2.Vpc(
        "network",
        cidr_block=settings.network_cidr,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=labels,
        opts=opts,
    )
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=network.id, tags=labels, opts=opts)
    aws.ec2.Route(
        "outward",
        route_table_id=network.main_route_table_id,
        destination_cidr_block=firewall.EVERYWHERE,
        gateway_id=gateway.id,
        opts=opts,
    )
    offering = facts.instance_type.zones if facts.instance_type else ()
    zones = sorted(set(facts.zones or ()) & set(offering))
    cuts = layout.subnets(settings.network_cidr, layout.zones_needed(settings.node_count))
    return Network(
        network.id, [_subnet(network, *each, labels, opts) for each in enumerate(zip(zones, cuts, strict=False), 1)]
    )


def _subnet(
    network: aws.ec2.Vpc,
    number: int,
    where: tuple[str, IPv4Network],
    labels: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> Slot:
    zone, cut = where
    # A subnet stays where it was made, and the volumes with it, whichever zones the region has later.
    stays = pulumi.ResourceOptions(ignore_changes=["availabilityZone"])
    subnet = aws.ec2.Subnet(
        f"subnet-{number}",
        vpc_id=network.id,
        cidr_block=str(cut),
        availability_zone=zone,
        tags=labels,
        opts=pulumi.ResourceOptions.merge(opts, stays),
    )
    return Slot(subnet.id, subnet.availability_zone, cut)
