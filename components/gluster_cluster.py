"""GlusterCluster: storage nodes that hold one volume together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_random as random

from components import remote
from components.certificates import Authority
from components.node_program import NodeProgram
from components.platforms.base import Machine, Platform
from components.storage_node import StorageNode, after, member_id
from plan.layout import node_name
from plan.settings import Settings


class GlusterCluster(pulumi.ComponentResource):
    """A GlusterFS volume over 3, 5 or 7 storage nodes, at /data on each.

    nodes: the nodes, in order.
    floating_address: the address that is always on one living node; None where the platform has none.
    volume: what the volume step answered; with it, /data can be mounted on every node.
    """

    nodes: Sequence[StorageNode]
    floating_address: str | None
    volume: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        settings: Settings,
        platform: Platform,
        program: NodeProgram,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        visible = {"nodes": settings.nodes, "layout": settings.layout}
        super().__init__("backup-storage:index:GlusterCluster", name, visible, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.floating_address = platform.floating_address
        authority = Authority(name, child)
        secret = random.RandomPassword(f"{name}-secret", length=64, special=False, opts=child)
        # Each node is told of all, so the list is there before the machines that it is made of.
        members: pulumi.Output[list[dict[str, str]]]
        resolve: Callable[[pulumi.Output[list[dict[str, str]]]], None]
        members, resolve = pulumi.deferred_output()
        cluster = {"layout": settings.layout, "floatingAddress": self.floating_address, "members": members}
        self.nodes = [
            StorageNode(
                node_name(index),
                index,
                settings,
                platform,
                program,
                {**cluster, **_credentials(authority, node_name(index), secret.result)},
                pulumi.ResourceOptions.merge(after(opts), child),
            )
            for index in range(1, settings.node_count + 1)
        ]
        machines = {node.machine.name: node.machine for node in self.nodes}
        resolve(_members(machines))
        volume = remote.run(
            f"{name}-volume",
            self.nodes[0].machine,
            "volume",
            {
                "program": program.sha256,
                "cluster": cluster,
                "bricks": {node.machine.name: node.configured["brick"] for node in self.nodes},
                # A fresh machine in a node's place: the volume is looked after again.
                "instances": {node: machine.instance for node, machine in machines.items()},
            },
            pulumi.ResourceOptions(parent=self, depends_on=list(self.nodes)),
            secret=False,
        )
        self.volume = remote.answer(volume)
        self.register_outputs({})


def _members(machines: Mapping[str, Machine]) -> pulumi.Output[list[dict[str, str]]]:
    """The members as every one of them knows them."""
    project, stack = pulumi.get_project(), pulumi.get_stack()
    return pulumi.Output.all(**{name: machine.private_address for name, machine in machines.items()}).apply(
        lambda addresses: [
            {"name": name, "address": addresses[name], "id": member_id(project, stack, name)} for name in machines
        ]
    )


def _credentials(authority: Authority, node: str, secret: pulumi.Output[str]) -> dict[str, Any]:
    """How one member proves that it is in the cluster."""
    private_key, certificate = authority.member(node)
    return {
        "privateKey": private_key,
        "certificate": certificate,
        "authority": authority.certificate,
        "secret": secret,
    }
