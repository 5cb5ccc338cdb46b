"""What is known of a region and of the stack in it, as the preflight's rules read it.

A fact that could not be looked up is None, and ``unreadable`` says why; rules about it hold their tongue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class InstanceType:
    """A type of instance: ``nitro`` ones show volumes as NVMe disks; ``zones`` are those that offer it."""

    name: str
    vcpus: int
    memory_mb: int
    architecture: str
    nitro: bool
    zones: tuple[str, ...]


@dataclass(frozen=True)
class Quota:
    """An account's limit in the region: what it counts (``unit``), how much it allows and how much is in use."""

    name: str
    code: str
    unit: str
    allowed: float
    in_use: float


@dataclass(frozen=True)
class Subnet:
    """A subnet of the user's."""

    id: str
    network: str
    zone: str
    cidr: str


@dataclass(frozen=True)
class Volume:
    """A data volume that the stack has already."""

    zone: str
    size_gb: int


@dataclass(frozen=True)
class Facts:
    """A region as it is now.

    zones: the zones that take new instances. similar_types: offered types whose names resemble the wanted one.
    subnets: those of the wanted ones that the region has. volumes, nodes: what the stack has already, by node.
    image: the id of the newest Debian image. owners: by taken private address, who has it (the stack's own left out).
    denied: actions that the account may not do, as IAM names them.
    """

    region: str
    zones: tuple[str, ...] | None = None
    instance_type: InstanceType | None = None
    similar_types: tuple[str, ...] | None = None
    image: str | None = None
    image_sought: str | None = None
    subnets: Mapping[str, Subnet] | None = None
    owners: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    has_network: bool = False
    vcpus: Quota | None = None
    storage: Quota | None = None
    networks: Quota | None = None
    denied: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
