"""A whole stack on AWS, with the real engine: previews, updates, replacements, regions.

The nodes' SSH servers are stand-ins; what they are told is looked at, not done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.cloud import Cloud
from tests.aws.nodes import Nodes
from tests.engine.ssh_server import Loop
from tests.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.aws]

FAR = "eu-west-1"
POLICY = Path(__file__).resolve().parents[2] / "docs" / "aws-policy.json"


def settings(nodes: Nodes, **changes: Any) -> dict[str, Any]:
    return {
        "platform": "aws",
        "region": nodes.region,
        "adminCidrs": ["198.51.100.7"],
        "sizeGb": 10,
        "bastion": nodes.bastion,
        "environments": {"shop": {"clients": ["10.1.2.3"]}},
        **changes,
    }


@pytest.fixture(scope="module")
def nodes(cloud: Cloud, loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """The nodes that come to be in the region of the stack."""
    found = Nodes(cloud, FAR, tmp_path_factory.mktemp("nodes"))
    found.start(loop)
    yield found
    found.stop(loop)


@pytest.fixture(scope="module")
def project(cloud: Cloud, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A standalone storage that is up."""
    made = Project(tmp_path_factory.mktemp("project") / "checkout", **settings(nodes))
    made.make("up")
    return made


def steps(project: Project) -> dict[str, str]:
    """What a preview would do, by resource name."""
    done = project.shell(f"pulumi preview --json --stack {project.stack}")
    found = json.loads(done.stdout).get("steps", [])
    return {step["urn"].rpartition("::")[2]: step["op"] for step in found if step["op"] != "same"}


def mutations(cloud: Cloud) -> list[str]:
    return [asked.action for asked in cloud.log() if not asked.action.startswith("Describe") and not asked.dry_run]


def test_an_up_makes_one_node_with_its_volume_in_the_region(project: Project, cloud: Cloud) -> None:
    (machine,) = cloud.instances(FAR)
    (volume,) = cloud.data_volumes(FAR)
    assert (machine["PrivateIpAddress"], machine["InstanceType"]) == ("10.77.0.11", "t3.small")
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"]) == (True, "gp3", 10)
    assert volume["AvailabilityZone"] == machine["Placement"]["AvailabilityZone"]
    assert volume["Attachments"][0]["InstanceId"] == machine["InstanceId"]


def test_every_connection_after_the_first_pins_the_key_that_the_node_made(project: Project, nodes: Nodes) -> None:
    node = nodes.of("10.77.0.11")
    assert project.outputs()["nodes"][0]["hostKey"] == node.host_key
    assert node.host_key not in nodes.cloud.user_data(node.instance, FAR)
    assert node.steps[0] == "first contact"
    assert [step.split()[0] for step in node.steps[1:]] == ["configure", "environments"]


def test_the_node_is_told_the_disk_that_its_volume_shows_as(project: Project, nodes: Nodes, cloud: Cloud) -> None:
    (volume,) = cloud.data_volumes(FAR)
    name = volume["VolumeId"].replace("-", "")
    assert nodes.of("10.77.0.11").steps[1] == f"configure /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{name}"


def test_the_operators_commands_go_through_the_bastion_too(project: Project, nodes: Nodes) -> None:
    node = nodes.of("10.77.0.11")
    project.make("ssh", CMD="storage-node by-ssh")
    project.make("status", check=False)
    assert node.steps[-2:] == ["by-ssh", "status"]


def test_only_the_administrators_and_the_clients_come_in(project: Project, cloud: Cloud) -> None:
    (machine,) = cloud.instances(FAR)
    (group,) = machine["NetworkInterfaces"][0]["Groups"]
    filters = [{"Name": "group-id", "Values": [group["GroupId"]]}]
    rules = cloud.ec2(FAR).describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    inward = {(rule["CidrIpv4"], rule["FromPort"], rule["ToPort"]) for rule in rules if not rule["IsEgress"]}
    assert inward == {("198.51.100.7/32", 22, 22), ("10.1.2.3/32", 2049, 2049)}
    outward = {(rule["IpProtocol"], rule["FromPort"]) for rule in rules if rule["IsEgress"]}
    assert outward == {("tcp", 443), ("tcp", 80), ("tcp", 53), ("udp", 53), ("udp", 123)}


def test_a_second_up_changes_nothing(project: Project, cloud: Cloud, nodes: Nodes) -> None:
    before = list(nodes.of("10.77.0.11").steps)
    cloud.forget()
    assert steps(project) == {}
    said = project.make("up").stdout
    assert "unchanged" in said
    assert mutations(cloud) == ["GetCallerIdentity", *["GetServiceQuota"] * 3] * 2
    assert nodes.of("10.77.0.11").steps == before


def test_a_new_client_is_one_rule_and_one_step(project: Project, cloud: Cloud, nodes: Nodes) -> None:
    project.configure(**settings(nodes, environments={"shop": {"clients": ["10.1.2.3", "10.1.2.4"]}}))
    cloud.forget()
    planned = steps(project)
    assert planned.pop("in-nfs-10.1.2.4") == "create"
    assert set(planned) == {"environments", "environments-storage-1"}
    project.make("up")
    assert "AuthorizeSecurityGroupIngress" in mutations(cloud)


def test_a_volume_grows_without_its_machine_being_touched(project: Project, cloud: Cloud, nodes: Nodes) -> None:
    project.configure(**settings(nodes, sizeGb=20))
    assert steps(project)["storage-1-data"] == "update"
    (before,) = cloud.instances(FAR)
    cloud.forget()
    project.make("up")
    assert "ModifyVolume" in mutations(cloud)
    assert not {"StopInstances", "TerminateInstances"} & set(mutations(cloud))
    assert [volume["Size"] for volume in cloud.data_volumes(FAR)] == [20]
    assert cloud.instances(FAR)[0]["InstanceId"] == before["InstanceId"]


def test_a_smaller_volume_is_refused_before_anything_is_asked_for(project: Project, cloud: Cloud, nodes: Nodes) -> None:
    project.configure(**settings(nodes, sizeGb=15))
    cloud.forget()
    refused = project.make("up", check=False)
    assert refused.returncode != 0
    assert "the data volume of storage-1 has 20 GB: a volume only grows." in refused.stdout
    assert not {"ModifyVolume", "CreateVolume"} & set(mutations(cloud))
    project.configure(**settings(nodes, sizeGb=20))


def test_another_region_is_refused_and_asked_for_nothing(project: Project, cloud: Cloud, nodes: Nodes) -> None:
    project.configure(**settings(nodes, sizeGb=20, region="eu-north-1"))
    volumes = [volume["VolumeId"] for volume in cloud.data_volumes(FAR)]
    cloud.forget()
    refused = project.make("up", check=False)
    assert refused.returncode != 0
    assert "this stack's region is eu-west-1 and cannot become eu-north-1: its data is there" in refused.stdout
    assert all(action.startswith("Get") for action in mutations(cloud))
    assert [volume["VolumeId"] for volume in cloud.data_volumes(FAR)] == volumes
    assert len(cloud.instances(FAR)) == 1
    assert cloud.instances("eu-north-1") == []
    project.configure(**settings(nodes, sizeGb=20))


def test_a_lost_instance_comes_back_with_its_volume_and_address(project: Project, cloud: Cloud, nodes: Nodes) -> None:
    (lost,), (volume,) = cloud.instances(FAR), cloud.data_volumes(FAR)
    ec2 = cloud.ec2(FAR)
    ec2.modify_instance_attribute(InstanceId=lost["InstanceId"], DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[lost["InstanceId"]])
    old_key = project.outputs()["nodes"][0]["hostKey"]
    project.make("refresh")
    project.make("up")
    (fresh,) = cloud.instances(FAR)
    assert fresh["InstanceId"] != lost["InstanceId"]
    assert fresh["PrivateIpAddress"] == lost["PrivateIpAddress"]
    (kept,) = cloud.data_volumes(FAR)
    assert kept["VolumeId"] == volume["VolumeId"]
    assert kept["Attachments"][0]["InstanceId"] == fresh["InstanceId"]
    node = nodes.of("10.77.0.11")
    assert node.steps[0] == "first contact"
    assert project.outputs()["nodes"][0]["hostKey"] == node.host_key != old_key


def test_two_stacks_in_two_regions_share_nothing(
    project: Project, cloud: Cloud, loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cloud.forget()
    others = Nodes(cloud, "us-west-2", tmp_path_factory.mktemp("nodes"))
    others.start(loop)
    try:
        other = Project(tmp_path_factory.mktemp("other") / "checkout", **settings(others, protect=False))
        other.make("up")
        assert {asked.region for asked in cloud.log()} == {"us-west-2"}
        assert len(cloud.instances("us-west-2")) == len(cloud.instances(FAR)) == 1
        cloud.forget()
        other.make("destroy")
        assert {asked.region for asked in cloud.log()} == {"us-west-2"}
    finally:
        others.stop(loop)
    assert cloud.instances("us-west-2") == cloud.data_volumes("us-west-2") == []
    assert len(cloud.instances(FAR)) == len(cloud.data_volumes(FAR)) == 1


def test_everything_that_was_called_is_in_the_policy(project: Project, cloud: Cloud) -> None:
    """After all of the above, so with everything that a stack's life calls for but its end."""
    allowed = {action for statement in json.loads(POLICY.read_text())["Statement"] for action in statement["Action"]}
    prefix = {"ec2": "ec2", "sts": "sts", "servicequotas": "servicequotas"}
    whole = [json.loads(line) for line in cloud.recording.read_text().splitlines()]
    assert whole
    cloud._forgotten = 0
    called = {f"{prefix[asked.service]}:{asked.action}" for asked in cloud.log()}
    assert called - {"sts:GetCallerIdentity"} <= allowed
    assert len(called) > 25


def test_a_destroy_with_protected_volumes_is_refused_before_anything_is_deleted(project: Project, cloud: Cloud) -> None:
    (volume,) = cloud.data_volumes(FAR)
    cloud.forget()
    refused = project.make("destroy", check=False)
    assert refused.returncode != 0
    assert "protected" in refused.stdout
    assert not {"StopInstances", "TerminateInstances", "DetachVolume"} & set(mutations(cloud))
    assert [machine["State"]["Name"] for machine in cloud.instances(FAR)] == ["running"]
    project.shell(f"pulumi destroy --yes --exclude-protected --stack {project.stack}")
    assert cloud.instances(FAR) == []
    assert [kept["VolumeId"] for kept in cloud.data_volumes(FAR)] == [volume["VolumeId"]]
