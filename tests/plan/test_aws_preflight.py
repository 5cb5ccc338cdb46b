"""The preflight's rules: one refusal each, and what it says."""

from dataclasses import replace
from typing import Any

import pytest

from plan.aws import preflight, regions
from plan.aws.facts import Facts, InstanceType, Quota, Subnet, Volume
from plan.settings import Settings, load

pytestmark = [pytest.mark.plan, pytest.mark.aws]

BASE = {"platform": "aws", "region": "eu-central-1", "adminCidrs": ["198.51.100.7"], "sizeGb": 100}
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
TYPE = InstanceType("t3.small", 2, 2048, "x86_64", nitro=True, zones=ZONES)
READY = Facts(
    region="eu-central-1",
    zones=ZONES,
    instance_type=TYPE,
    image="ami-1",
    image_sought="debian-13-amd64-*",
    vcpus=Quota("Standard instances", "L-1216C47A", "vCPUs", allowed=32, in_use=8),
    storage=Quota("gp3 volumes", "L-7A658B76", "GiB", allowed=51200, in_use=100),
    networks=Quota("VPCs per Region", "L-F678F1CE", "VPCs", allowed=5, in_use=1),
)
ALONE = load(BASE)


class Cluster(Settings):
    """Three nodes."""

    @property
    def node_count(self) -> int:
        return 3


CLUSTER = Cluster.model_construct(**dict(ALONE))


def subnets(settings: Settings, *zones: str, network: str = "vpc-1") -> tuple[Settings, Facts]:
    """Settings and facts with one subnet of the user's in each of these zones."""
    found = {
        f"subnet-0000000{i}": Subnet(f"subnet-0000000{i}", network, zone, f"10.3.{i}.0/24")
        for i, zone in enumerate(zones)
    }
    addresses = tuple(f"10.3.{i % len(zones)}.{20 + i}" for i in range(settings.node_count))
    changed = {**dict(settings), "subnets": tuple(found), "private_addresses": addresses}
    return type(settings).model_construct(**changed), replace(READY, subnets=found, networks=None)


@pytest.mark.parametrize("settings", [ALONE, CLUSTER])
def test_a_region_that_has_everything_is_fine(settings: Settings) -> None:
    assert preflight.problems(settings, READY) == []


def test_all_problems_come_at_once() -> None:
    facts = replace(READY, image=None, denied=("ec2:RunInstances",), zones=(), vcpus=replace_quota(allowed=0))
    found = preflight.problems(ALONE, facts)
    assert len(found) == 4


def replace_quota(**changes: Any) -> Quota:
    assert READY.vcpus is not None
    return replace(READY.vcpus, **changes)


def test_missing_permissions_are_named() -> None:
    (text,) = preflight.problems(ALONE, replace(READY, denied=("ec2:CreateVolume", "ec2:RunInstances")))
    assert text.startswith("These credentials lack permissions in eu-central-1: ec2:CreateVolume, ec2:RunInstances.")


def test_a_type_that_is_not_offered_is_answered_with_similar_ones() -> None:
    facts = replace(READY, instance_type=None, similar_types=("t3.medium", "t3a.small"))
    (text,) = preflight.problems(ALONE, facts)
    assert text == (
        "backup-storage:instanceType is t3.small, which eu-central-1 does not offer; similar ones are t3.medium, "
        "t3a.small."
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [({"nitro": False}, "is not built on the Nitro system"), ({"memory_mb": 1024}, "1024 MiB of memory")],
)
def test_a_type_on_which_a_node_cannot_live_is_refused(change: dict[str, Any], says: str) -> None:
    (text,) = preflight.problems(ALONE, replace(READY, instance_type=replace(TYPE, **change)))
    assert says in text


def test_a_cluster_needs_three_zones_that_offer_its_type() -> None:
    facts = replace(READY, instance_type=replace(TYPE, zones=ZONES[:2]))
    (text,) = preflight.problems(CLUSTER, facts)
    assert text == (
        "3 nodes need 3 availability zones that offer t3.small; eu-central-1 has 2 (eu-central-1a, eu-central-1b). "
        "Choose another instanceType or region. A standalone storage would fit."
    )
    assert preflight.problems(ALONE, facts) == []


def test_without_an_image_no_new_node_is_made_and_old_ones_stay() -> None:
    facts = replace(READY, image=None)
    (text,) = preflight.problems(ALONE, facts)
    assert "no image debian-13-amd64-* of Debian's account" in text
    assert preflight.problems(ALONE, replace(facts, nodes={"storage-1": "ami-0"})) == []


def test_a_subnet_of_another_region_is_refused() -> None:
    settings, facts = subnets(ALONE, "eu-central-1a")
    (text,) = preflight.problems(settings, replace(facts, subnets={}))
    assert text == (
        "backup-storage:subnets lists subnet-00000000, which eu-central-1 does not have: a subnet belongs to one "
        "region and account."
    )


def test_subnets_of_a_cluster_are_in_one_network_and_three_zones() -> None:
    assert preflight.problems(*subnets(CLUSTER, *ZONES)) == []
    (text,) = preflight.problems(*subnets(CLUSTER, "eu-central-1a", "eu-central-1b", "eu-central-1a"))
    assert "puts 3 nodes into 2 availability zone(s) (eu-central-1a, eu-central-1b); they need 3" in text
    settings, facts = subnets(CLUSTER, *ZONES)
    assert facts.subnets is not None
    mixed = dict(facts.subnets) | {"subnet-00000000": Subnet("subnet-00000000", "vpc-2", ZONES[0], "10.3.0.0/24")}
    (text,) = preflight.problems(settings, replace(facts, subnets=mixed))
    assert "subnet-00000000 in vpc-2, subnet-00000001 in vpc-1" in text


def test_a_subnet_in_a_zone_without_the_type_is_refused() -> None:
    settings, facts = subnets(ALONE, "eu-central-1c")
    (text,) = preflight.problems(settings, replace(facts, instance_type=replace(TYPE, zones=ZONES[:2])))
    assert text == "backup-storage:subnets uses eu-central-1c, which does not offer t3.small."


def test_a_nodes_address_is_in_its_subnet_and_free() -> None:
    settings, facts = subnets(ALONE, "eu-central-1a")
    (text,) = preflight.problems(settings, replace(facts, owners={"10.3.0.20": "i-0f00"}))
    assert text.endswith("gives storage-1 10.3.0.20, which i-0f00 has already; choose a free one.")
    elsewhere = Settings.model_construct(**{**dict(settings), "private_addresses": ("10.3.7.20",)})
    (text,) = preflight.problems(elsewhere, facts)
    assert "no usable address of its subnet subnet-00000000 (10.3.0.0/24" in text


def test_a_volume_never_shrinks() -> None:
    facts = replace(READY, volumes={"storage-1": Volume("eu-central-1a", 200)}, nodes={"storage-1": "ami-1"})
    (text,) = preflight.problems(ALONE, facts)
    assert text.startswith("backup-storage:sizeGb is 100, and the data volume of storage-1 has 200 GB: a volume only")


def test_a_volume_stays_in_its_zone() -> None:
    settings, facts = subnets(ALONE, "eu-central-1b")
    (text,) = preflight.problems(settings, replace(facts, volumes={"storage-1": Volume("eu-central-1a", 100)}))
    assert "would put storage-1 into eu-central-1b, and its data volume is in eu-central-1a" in text


def test_an_instance_follows_its_volume() -> None:
    here = {"storage-1": Volume("eu-central-1c", 100)}
    facts = replace(READY, volumes=here, instance_type=replace(TYPE, zones=ZONES[:2]))
    (text,) = preflight.problems(ALONE, facts)
    assert text.startswith("backup-storage:instanceType is t3.small, which eu-central-1c does not offer, and the data")


def test_too_small_a_quota_says_which_how_much_and_whether_one_node_would_fit() -> None:
    facts = replace(READY, vcpus=replace_quota(allowed=12, in_use=8))
    (text,) = preflight.problems(CLUSTER, facts)
    assert text == (
        "The quota 'Standard instances' (L-1216C47A) in eu-central-1 allows 12 vCPUs, 8 are in use, and 3 t3.small "
        "nodes need 6 more. Ask AWS for a higher quota, or free some. A standalone storage (2 vCPUs) would fit."
    )
    (text,) = preflight.problems(CLUSTER, replace(READY, vcpus=replace_quota(allowed=8, in_use=8)))
    assert text.endswith("A standalone storage (2 vCPUs) would not fit either.")
    assert preflight.problems(ALONE, facts) == []


def test_nodes_that_run_already_are_not_counted_twice() -> None:
    facts = replace(READY, vcpus=replace_quota(allowed=12, in_use=10), nodes={"storage-1": "a", "storage-2": "a"})
    assert preflight.problems(CLUSTER, facts) == []


def test_growth_counts_against_the_storage_quota_by_what_is_added() -> None:
    assert READY.storage is not None
    tight = replace(READY.storage, allowed=160, in_use=100)
    (text,) = preflight.problems(ALONE, replace(READY, storage=tight))
    assert "allows 160 GiB, 100 are in use, and 1 data volume needs 100 more" in text
    facts = replace(READY, storage=tight, volumes={"storage-1": Volume("eu-central-1a", 50)})
    assert preflight.problems(ALONE, facts) == []


def test_one_network_too_many_points_to_subnets() -> None:
    assert READY.networks is not None
    full = replace(READY, networks=replace(READY.networks, in_use=5))
    (text,) = preflight.problems(ALONE, full)
    assert "allows 5 VPCs, 5 are in use" in text
    assert text.endswith("Or name subnets of yours in backup-storage:subnets.")
    assert preflight.problems(ALONE, replace(full, has_network=True)) == []


def test_an_unknown_region_is_answered_with_the_nearest_names() -> None:
    text = regions.unknown("eu-centrl-1", ["eu-central-1", "eu-central-2", "us-east-1"])
    assert text == (
        "backup-storage:region is eu-centrl-1, which AWS does not have; did you mean eu-central-1 or eu-central-2?"
    )
    assert "there are eu-central-1, us-east-1." in regions.unknown("moon", ["us-east-1", "eu-central-1"])
