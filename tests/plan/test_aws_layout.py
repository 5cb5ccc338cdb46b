"""Where nodes are placed, and who may reach them."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.aws import firewall, layout
from plan.platforms import LARGEST_NETWORK, SMALLEST_NETWORK
from plan.settings import Settings, load

pytestmark = [pytest.mark.plan, pytest.mark.aws]

BASE = {"platform": "aws", "region": "eu-central-1", "adminCidrs": ["198.51.100.7", "10.0.0.0/8"]}

networks = st.tuples(st.integers(0, 255), st.integers(LARGEST_NETWORK, SMALLEST_NETWORK)).map(
    lambda given: str(IPv4Network(f"10.{given[0]}.0.0/{given[1]}", strict=False))
)


def a_cluster(settings: Settings) -> Settings:
    """The same settings for three nodes."""

    class Cluster(Settings):
        @property
        def node_count(self) -> int:
            return 3

    return Cluster.model_construct(**dict(settings))


@given(networks)
def test_every_node_of_every_cluster_has_a_usable_address_of_its_own(cidr: str) -> None:
    cut = layout.subnets(cidr, layout.CLUSTER_ZONES)
    placed = [cut[layout.place(index, len(cut))] for index in range(1, 8)]
    addresses = [layout.address(subnet, index) for index, subnet in enumerate(placed, start=1)]
    assert len(set(addresses)) == len(addresses)
    for subnet, address in zip(placed, addresses, strict=True):
        assert layout.is_usable(subnet, address)
        assert subnet.subnet_of(IPv4Network(cidr))
    assert not any(a.overlaps(b) for i, a in enumerate(cut) for b in cut[:i])


@pytest.mark.parametrize("nodes", [3, 5, 7])
def test_the_loss_of_any_zone_leaves_a_majority(nodes: int) -> None:
    zones = layout.zones_needed(nodes)
    placed = [layout.place(index, zones) for index in range(1, nodes + 1)]
    assert max(placed.count(zone) for zone in set(placed)) <= nodes // 2


def test_a_grown_cluster_leaves_its_nodes_where_they_are() -> None:
    for smaller, larger in ((3, 5), (5, 7)):
        before = [layout.place(index, layout.zones_needed(smaller)) for index in range(1, smaller + 1)]
        after = [layout.place(index, layout.zones_needed(larger)) for index in range(1, larger + 1)]
        assert after[:smaller] == before


@pytest.mark.parametrize(("address", "usable"), [("10.0.0.3", False), ("10.0.0.4", True), ("10.0.0.254", True)])
def test_the_first_four_addresses_and_the_last_are_ec2s_own(address: str, usable: bool) -> None:
    assert layout.is_usable(IPv4Network("10.0.0.0/24"), address) is usable
    assert not layout.is_usable(IPv4Network("10.0.0.0/24"), "10.0.0.255")
    assert not layout.is_usable(IPv4Network("10.0.0.0/24"), "10.0.1.10")


def test_clients_reach_nfs_administrators_ssh_and_nobody_anything_else() -> None:
    clients = {"shop": {"clients": ["10.1.2.3"]}, "blog": {"clients": ["10.1.2.3", "10.2.0.0/16"]}}
    rules = firewall.inward(load({**BASE, "environments": clients}))
    assert [(rule.cidr, rule.protocol, rule.port) for rule in rules] == [
        ("198.51.100.7/32", "tcp", 22),
        ("10.0.0.0/8", "tcp", 22),
        ("10.1.2.3/32", "tcp", 2049),
        ("10.2.0.0/16", "tcp", 2049),
    ]
    assert len({rule.name for rule in rules}) == len(rules)


def test_members_of_a_cluster_reach_each_other_and_a_standalone_node_has_no_members() -> None:
    alone = load(BASE)
    for direction in (firewall.inward, firewall.outward):
        assert all(rule.cidr is not None for rule in direction(alone))
        (members,) = [rule for rule in direction(a_cluster(alone)) if rule.cidr is None]
        assert (members.protocol, members.port) == ("-1", None)


def test_what_goes_out_is_packages_names_and_the_time() -> None:
    rules = firewall.outward(load(BASE))
    assert sorted((rule.protocol, rule.port) for rule in rules) == [
        ("tcp", 53),
        ("tcp", 80),
        ("tcp", 443),
        ("udp", 53),
        ("udp", 123),
    ]
