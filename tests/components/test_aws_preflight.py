"""The preflight against EC2 as moto has it: what is asked, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws
from moto.backends import get_backend

from components.platforms.aws import preflight, quotas
from components.platforms.aws.account import Account
from components.platforms.aws.inquiry import DEBIAN, Inquiry
from plan.aws.facts import Facts
from plan.problems import SettingsError
from plan.settings import Settings, load

pytestmark = [pytest.mark.components, pytest.mark.aws]

REGION = "eu-central-1"
LABELS = {"project": "backup-storage", "stack": "test"}
BASE = {"platform": "aws", "region": REGION, "adminCidrs": ["198.51.100.7"]}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account of moto's, in this process."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@pytest.fixture
def ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


def debian_image(ec2: Any, name: str, created: str, owner: str = DEBIAN) -> str:
    """An image in the region, of an owner and an age."""
    image = str(ec2.register_image(Name=name, Architecture="x86_64", RootDeviceName="/dev/xvda")["ImageId"])
    made = get_backend("ec2")["123456789012"][REGION].amis[image]
    made.owner_id, made.creation_date = owner, datetime.fromisoformat(created)
    return image


def settings(**changes: Any) -> Settings:
    return load({**BASE, **changes})


def facts(**changes: Any) -> Facts:
    return Inquiry(Account(REGION), settings(**changes), LABELS).facts()


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (LABELS | values).items()]


def refusal(**changes: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        preflight.check(settings(**changes), LABELS, makes=True)
    return list(caught.value.problems)


def refuse(monkeypatch: pytest.MonkeyPatch, code: str, *operations: str) -> list[tuple[str, str]]:
    """Make AWS refuse some operations (all, where none is named) with a code; gives what was asked where."""
    asked: list[tuple[str, str]] = []
    real = BaseClient._make_api_call

    def call(self: Any, name: str, arguments: dict[str, Any]) -> Any:
        asked.append((self.meta.region_name, name))
        if not operations or name in operations:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, name)
        return real(self, name, arguments)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    return asked


def test_a_region_that_has_everything_is_ready(ec2: Any) -> None:
    image = debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    found = preflight.check(settings(), LABELS, makes=True)
    assert found.image == image
    assert found.zones == ("eu-central-1a", "eu-central-1b", "eu-central-1c")
    assert found.instance_type is not None
    assert (found.instance_type.vcpus, found.instance_type.memory_mb, found.instance_type.nitro) == (2, 2048, True)
    assert found.networks is not None
    assert (found.networks.allowed, found.networks.in_use) == (5, 1)


def test_the_newest_image_of_debian_is_taken_and_nobody_elses(ec2: Any) -> None:
    debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    newest = debian_image(ec2, "debian-13-amd64-20260301-1", "2026-03-01T00:00:00Z")
    debian_image(ec2, "debian-13-amd64-20260401-1", "2026-04-01T00:00:00Z", owner="210987654321")
    debian_image(ec2, "debian-12-amd64-20260501-1", "2026-05-01T00:00:00Z")
    assert facts().image == newest


def test_an_arm_type_asks_for_an_arm_image(ec2: Any) -> None:
    debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    (text,) = refusal(instanceType="t4g.small")
    assert "no image debian-13-arm64-* of Debian's account" in text


def test_every_problem_of_a_region_is_reported_at_once(ec2: Any) -> None:
    found = refusal(instanceType="t2.small", subnets=["subnet-0123456789abcdef0"], privateAddresses=["10.3.0.20"])
    assert len(found) == 3
    assert any("is not built on the Nitro system" in text for text in found)
    assert any("no image debian-13-amd64-*" in text for text in found)
    assert any("which eu-central-1 does not have: a subnet belongs to one region" in text for text in found)


def test_a_misspelt_type_is_answered_with_offered_ones() -> None:
    (text,) = refusal(instanceType="t3.smal")
    assert "which eu-central-1 does not offer; similar ones are t3.small" in text


def test_an_unknown_region_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refuse(monkeypatch, "Never")
    (text,) = refusal(region="eu-centrl-1")
    assert "which AWS does not have; did you mean eu-central-1" in text
    assert asked == []


def test_a_region_that_is_not_enabled_is_refused() -> None:
    (text,) = refusal(region="eu-south-2")
    assert text.startswith("backup-storage:region is eu-south-2, which is not enabled for this AWS account")


def test_a_region_that_knows_nobody_is_told_from_keys_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refuse(monkeypatch, "InvalidClientTokenId", "GetCallerIdentity")
    (text,) = refusal(region="eu-south-2")
    assert "is not enabled for this AWS account" in text
    assert asked[-1] == ("us-east-1", "DescribeRegions")
    (text,) = refusal()
    assert text.startswith("AWS refuses the credentials (InvalidClientTokenId)")


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestExpired"])
def test_expired_credentials_are_called_so(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    refuse(monkeypatch, code)
    (text,) = refusal()
    assert text.startswith("The AWS credentials have expired; log in again")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NoCredentialsError(), "There are no AWS credentials; run `aws sso login`"),
        (EndpointConnectionError(endpoint_url="https://ec2"), "AWS cannot be reached in eu-central-1"),
    ],
)
def test_a_way_that_is_blocked_is_described(monkeypatch: pytest.MonkeyPatch, error: BotoCoreError, says: str) -> None:
    def call(self: Any, name: str, arguments: dict[str, Any]) -> Any:
        raise error

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    (text,) = refusal()
    assert text.startswith(says)


def test_permissions_that_are_missing_are_named_together(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    refuse(monkeypatch, "UnauthorizedOperation", "DescribeVolumes", "CreateVolume", "RunInstances")
    (text,) = refusal()
    assert "eu-central-1: ec2:CreateVolume, ec2:DescribeVolumes, ec2:RunInstances." in text


def test_a_preview_by_somebody_who_may_only_look_warns(ec2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    refuse(monkeypatch, "UnauthorizedOperation", "RunInstances")
    found = preflight.check(settings(), LABELS, makes=False)
    assert any("ec2:RunInstances are not permitted" in text for text in found.unreadable)


def test_the_dry_runs_make_nothing(ec2: Any) -> None:
    debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    preflight.check(settings(), LABELS, makes=True)
    assert ec2.describe_volumes()["Volumes"] == ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def test_what_the_stack_has_already_is_found_by_its_tags(ec2: Any) -> None:
    for stack, size in (("test", 40), ("other", 70)):
        mine = [{"ResourceType": "volume", "Tags": tags(stack=stack, node="storage-1")}]
        ec2.create_volume(AvailabilityZone=f"{REGION}b", Size=size, TagSpecifications=mine)
    ec2.create_volume(
        AvailabilityZone=f"{REGION}b", Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": tags()}]
    )
    found = facts()
    assert {name: (volume.zone, volume.size_gb) for name, volume in found.volumes.items()} == {
        "storage-1": ("eu-central-1b", 40)
    }


def test_an_address_that_somebody_has_is_reported_and_the_stacks_own_is_not(ec2: Any) -> None:
    image = debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    network = ec2.create_vpc(CidrBlock="10.3.0.0/24")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.3.0.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]
    wanted = {"subnets": [subnet["SubnetId"]], "privateAddresses": ["10.3.0.20"]}
    (instance,) = ec2.run_instances(
        ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1, SubnetId=subnet["SubnetId"],
        PrivateIpAddress="10.3.0.20",
    )["Instances"]  # fmt: skip
    (text,) = refusal(**wanted)
    assert f"gives storage-1 10.3.0.20, which {instance['InstanceId']} has already" in text
    ec2.create_tags(Resources=[instance["InstanceId"]], Tags=tags(node="storage-1"))
    found = preflight.check(settings(**wanted), LABELS, makes=True)
    assert found.nodes == {"storage-1": image}


def test_a_quota_that_cannot_be_read_is_left_to_a_warning(ec2: Any) -> None:
    found = facts()
    assert found.vcpus is None
    assert any(text.startswith("servicequotas:GetServiceQuota (NoSuchResource") for text in found.unreadable)


def allowed(service: str, code: str, value: float) -> Any:
    """A service quotas client that answers one question."""
    client = boto3.client("service-quotas", region_name=REGION)
    stubber = Stubber(client)
    stubber.add_response("get_service_quota", {"Quota": {"Value": value}}, {"ServiceCode": service, "QuotaCode": code})
    stubber.activate()
    return client


def test_processors_in_use_are_those_of_running_instances_of_the_same_kind(ec2: Any) -> None:
    image = debian_image(ec2, "debian-13-amd64-20260101-1", "2026-01-01T00:00:00Z")
    for kind, count in (("t3.small", 2), ("m5.xlarge", 1), ("g4dn.xlarge", 1)):
        ec2.run_instances(ImageId=image, InstanceType=kind, MinCount=count, MaxCount=count)
    gone = ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1)["Instances"][0]
    ec2.terminate_instances(InstanceIds=[gone["InstanceId"]])
    found = quotas.vcpus(ec2, allowed("ec2", "L-1216C47A", 32), "t3.small")
    assert found is not None
    assert (found.allowed, found.in_use, found.unit) == (32, 2 * 2 + 4, "vCPUs")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("m7i.large", "L-1216C47A"),
        ("g6.xlarge", "L-DB2E81BA"),
        ("inf2.xlarge", "L-1945791B"),
        ("x2gd.large", "L-7295265B"),
    ],
)
def test_each_kind_of_instance_has_its_quota(ec2: Any, kind: str, code: str) -> None:
    found = quotas.vcpus(ec2, allowed("ec2", code, 8), kind)
    assert found is not None
    assert found.code == code


def test_a_kind_that_nobody_knows_is_not_checked(ec2: Any) -> None:
    assert quotas.vcpus(ec2, boto3.client("service-quotas", region_name=REGION), "u-6tb1.metal") is None


def test_the_storage_quota_counts_gp3_in_gib(ec2: Any) -> None:
    ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=40, VolumeType="gp3")
    ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=70, VolumeType="gp2")
    found = quotas.gp3_storage(ec2, allowed("ebs", "L-7A658B76", 50))
    assert (found.allowed, found.in_use, found.unit) == (51200, 40, "GiB")
