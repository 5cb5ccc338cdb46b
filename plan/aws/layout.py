"""Where the nodes are: availability zones, subnets, addresses.

A node keeps its place for good: it follows from the node's index alone, and neither more nodes nor more zones in the
region move it. That matters, for a data volume cannot leave its zone.
"""

import ipaddress

#: Three zones suffice for every cluster: with 3, 5 or 7 nodes taken in turn, no zone holds as many as half of them,
#: so the loss of one zone leaves a majority.
CLUSTER_ZONES = 3

#: Node 1 has the subnet's address .11. EC2 keeps the first four and the last of every subnet for itself
#: (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
FIRST_NODE = 10

#: The network is cut into four subnets, one more than there are zones: the fourth is spare.
_SUBNET_BITS = 2

_RESERVED_BEFORE = 4

Network = ipaddress.IPv4Network


def zones_needed(nodes: int) -> int:
    """In how many zones that many nodes have to be."""
    return 1 if nodes == 1 else CLUSTER_ZONES


def place(index: int, places: int) -> int:
    """Which of so many zones or subnets (from 0) the ``index``-th node (from 1) is in: one after the other."""
    return (index - 1) % places


def subnets(cidr: str, count: int) -> list[Network]:
    """The first ``count`` subnets of the stack's own network, one for each zone."""
    cut = Network(cidr).subnets(prefixlen_diff=_SUBNET_BITS)
    return [next(cut) for _ in range(count)]


def address(subnet: Network, index: int) -> str:
    """The private address of the ``index``-th node in the stack's own network; it stays the node's for good."""
    return str(subnet[FIRST_NODE + index])


def is_usable(subnet: Network, wanted: str) -> bool:
    """Whether EC2 gives this address of a subnet to a machine."""
    found = ipaddress.IPv4Address(wanted)
    return found in subnet and subnet[_RESERVED_BEFORE - 1] < found < subnet[-1]
