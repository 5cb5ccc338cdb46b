"""How a cluster's volume lies on its nodes, what it survives, and which changes of it are possible in place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Topology = Literal["standalone", "cluster"]
Layout = Literal["replicated", "dispersed"]
Nodes = Literal[3, 5, 7]

#: Of so many nodes, how many a dispersed volume may lose (GlusterFS: redundancy). The greatest that leaves more data
#: than redundancy on an odd number of nodes.
REDUNDANCY: Mapping[int, int] = {3: 1, 5: 2, 7: 3}


def node_name(index: int) -> str:
    """The name of a stack's ``index``-th node, from 1."""
    return f"storage-{index}"


def grown_from(others: int) -> int:
    """How many nodes a cluster may have had before it got the node with so many others before it; 0 for none."""
    return max((count for count in REDUNDANCY if count <= others), default=0)


@dataclass(frozen=True)
class Shape:
    """What decides where the data lies: the part of the settings that cannot change freely in place."""

    topology: Topology
    nodes: int
    layout: Layout | None

    @classmethod
    def of(cls, topology: Topology, nodes: int, layout: Layout) -> "Shape":
        """The shape that settings ask for; a standalone storage has one node and no layout."""
        return cls(topology, nodes, layout) if topology == "cluster" else cls(topology, 1, None)

    @property
    def losable(self) -> int:
        """How many nodes may be lost without losing data or service: a majority, or enough fragments, must stay."""
        return REDUNDANCY[self.nodes] if self.topology == "cluster" else 0


def refused_change(old: Shape, new: Shape) -> list[str]:
    """What of a change cannot be done in place, one sentence each with what to do instead; empty when all can."""
    instead = "make a new stack, copy the repositories with `restic copy`, then remove this one"
    if old.topology != new.topology:
        return [
            f"backup-storage:topology was {old.topology} and cannot become {new.topology} in place: the data lies "
            f"differently on the disks; {instead}."
        ]
    if old.layout != new.layout:
        return [f"backup-storage:layout was {old.layout} and cannot become {new.layout} in place; {instead}."]
    if new.nodes < old.nodes:
        return [
            f"backup-storage:nodes was {old.nodes} and cannot become {new.nodes}: a cluster does not shrink in place; "
            f"keep {old.nodes}, or {instead}."
        ]
    if new.nodes != old.nodes and new.layout == "dispersed":
        return [
            f"backup-storage:nodes was {old.nodes} and cannot become {new.nodes}: a dispersed volume keeps the number "
            f"of nodes that it was made with; {instead}."
        ]
    if new.nodes - new.losable > old.nodes:
        most = max(count for count, losable in REDUNDANCY.items() if count - losable <= old.nodes)
        return [
            f"backup-storage:nodes was {old.nodes} and cannot become {new.nodes} at once: until the added ones are "
            f"filled, those that were there have to be a majority of all; set {most}, run `pulumi up`, then "
            f"{new.nodes}."
        ]
    return []


def shape_from(values: Mapping[str, Any]) -> Shape:
    """A shape from the values that ``values_of`` made; numbers may have become floats on the way."""
    return Shape(values["topology"], int(values["nodes"]), values.get("layout"))


def values_of(shape: Shape) -> dict[str, Any]:
    """A shape as plain values, for a state."""
    return {"topology": shape.topology, "nodes": shape.nodes, "layout": shape.layout}
