"""The whole storage of a stack: its nodes and what they serve."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components import node_program
from components.environments import Environments
from components.gluster_cluster import GlusterCluster
from components.node_program import NodeProgram
from components.platforms.base import Platform
from components.shape import ShapeGuard
from components.storage_node import StorageNode
from plan.layout import node_name
from plan.problems import SettingsError
from plan.settings import Settings

#: Where the packed node program lies, relative to the project so that state is the same in every checkout.
_BUILD = Path(".state/build")


@dataclass(frozen=True)
class Storage:
    """The nodes of a stack's storage, and the environments that they serve."""

    nodes: Sequence[StorageNode]
    floating_address: str | None
    environments: Environments


def build(settings: Settings, platform: Platform) -> Storage:
    """Registers the storage that the settings describe.

    Raises pulumi.RunError before any resource is registered where the platform cannot carry it.
    """
    try:
        platform.preflight()
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error
    program = node_program.pack(_BUILD)
    guarded = pulumi.ResourceOptions(depends_on=[ShapeGuard("shape", settings.shape)])
    if settings.topology == "cluster":
        cluster = GlusterCluster("cluster", settings, platform, program, guarded)
        return _serving(settings, cluster.nodes, program, cluster)
    node = StorageNode(node_name(1), 1, settings, platform, program, opts=guarded)
    return _serving(settings, [node], program, None)


def _serving(
    settings: Settings, nodes: Sequence[StorageNode], program: NodeProgram, cluster: GlusterCluster | None
) -> Storage:
    ready = [] if cluster is None else [cluster]
    environments = Environments(
        "environments", settings.environments, nodes, program, protect=settings.protect, ready=ready
    )
    return Storage(nodes, cluster.floating_address if cluster else None, environments)
