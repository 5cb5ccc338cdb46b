"""StorageNode: one machine with its data disk, configured to hold backups."""

import uuid
from collections.abc import Mapping
from typing import Any

import pulumi

from components import remote
from components.node_program import NodeProgram
from components.platforms.base import Machine, Platform
from plan.addon import DATA_PATH, NodeFacts
from plan.settings import Settings

#: Namespace of the file systems' UUIDs: a node knows its own data disk by the one that follows from its name.
_FILESYSTEMS = uuid.UUID("0d4c6c0e-7a54-5d0b-9d6e-5f2c2f3a1b77")

#: Likewise of the members of clusters.
_MEMBERS = uuid.UUID("5b4a3a52-8e0d-5f43-8a4c-3b7a0c4d9e21")


class StorageNode(pulumi.ComponentResource):
    """One storage node.

    machine: the machine of the platform that it runs on.
    configured: what the node's configuration step answered; depends on everything before it.
    facts: what the outputs say of the node.
    """

    machine: Machine
    configured: pulumi.Output[dict[str, Any]]
    facts: pulumi.Output[NodeFacts]

    def __init__(
        self,
        name: str,
        index: int,
        settings: Settings,
        platform: Platform,
        program: NodeProgram,
        cluster: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("backup-storage:index:StorageNode", name, _visible(settings), opts)
        child = pulumi.ResourceOptions(parent=self)
        self.machine = platform.machine(name, index, pulumi.ResourceOptions.merge(after(opts), child))
        shipped = remote.ship(f"{name}-program", self.machine, program, child)
        configuring = remote.install(
            f"{name}-configure",
            self.machine,
            "configure",
            {
                "program": program.sha256,
                "name": name,
                "stack": pulumi.get_stack(),
                "topology": settings.topology,
                "device": self.machine.device,
                "filesystem": filesystem_id(pulumi.get_project(), pulumi.get_stack(), name),
                "dataPath": DATA_PATH,
                "sizeGb": settings.size_gb,
                "firewall": {"ssh": list(settings.admin_cidrs or platform.admin_cidrs)},
                **({} if cluster is None else {"cluster": cluster}),
            },
            pulumi.ResourceOptions(parent=self, depends_on=[shipped]),
            secret=cluster is not None,
        )
        self.configured = remote.answer(configuring)
        self.facts = pulumi.Output.all(
            address=self.machine.address,
            private_address=self.machine.private_address,
            ssh_port=self.machine.ssh_port,
            host_key=self.machine.host_key,
        ).apply(lambda known: NodeFacts(name=name, **known))
        self.register_outputs({})


def _visible(settings: Settings) -> dict[str, Any]:
    """What a preview shows of a node by name, labels included."""
    return {
        "region": settings.region,
        "sizeGb": settings.size_gb,
        "labels": {
            "displayName": settings.display_name,
            "group": settings.group,
            "projectScope": settings.project_scope,
            "stack": pulumi.get_stack(),
        },
    }


def after(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """What a component itself waits for, for its children: the SDK does not hand it down."""
    return pulumi.ResourceOptions(depends_on=None if opts is None else opts.depends_on)


def member_id(project: str, stack: str, name: str) -> str:
    """The UUID by which the members of a cluster know a node, the same for any machine in its place."""
    return str(uuid.uuid5(_MEMBERS, f"{project}/{stack}/{name}"))


def filesystem_id(project: str, stack: str, name: str) -> str:
    """The UUID of a node's data file system, the same for as long as the node keeps its name.

    A fresh machine finds its predecessor's data by it, and leaves every other disk alone.
    """
    return str(uuid.uuid5(_FILESYSTEMS, f"{project}/{stack}/{name}"))
