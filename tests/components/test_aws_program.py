"""The resource graph of a storage on AWS, and what its instances are told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.fixed import FixedProvider
from components.platforms.aws import first_contact, instance, preflight, user_data
from plan.aws.facts import Facts, InstanceType, Subnet
from plan.packages import NODE_PACKAGES
from plan.problems import SettingsError
from plan.settings import Settings
from tests.components.recorder import ROOT, Graph, plain, run_program

pytestmark = [pytest.mark.components, pytest.mark.aws]

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
FACTS = Facts(
    region="eu-central-1",
    zones=ZONES,
    instance_type=InstanceType("t3.small", 2, 2048, "x86_64", nitro=True, zones=ZONES),
    image="ami-1",
    subnets={"subnet-0123456789abcdef0": Subnet("subnet-0123456789abcdef0", "vpc-9", "eu-central-1b", "10.3.0.0/24")},
    unreadable=("something",),
)
CONFIG = {
    "platform": "aws",
    "region": "eu-central-1",
    "adminCidrs": ["198.51.100.7"],
    "sizeGb": 40,
    "environments": {"shop": {"clients": ["10.1.2.3"]}},
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nswordfish\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that can carry everything."""
    monkeypatch.setattr(preflight, "check", lambda settings, labels, makes: FACTS)


@pytest.fixture(scope="module")
def graph() -> Graph:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(preflight, "check", lambda settings, labels, makes: FACTS)
        return run_program(CONFIG)


def one(graph: Graph, token: str) -> dict[str, Any]:
    (found,) = graph.of_type(token)
    return dict(found.inputs)


def test_every_resource_of_aws_is_bound_to_the_region(graph: Graph) -> None:
    found = [resource for resource in graph.resources.values() if resource.typ.startswith("aws:")]
    assert len(found) > 10
    assert all((resource.provider or "").endswith("pulumi:providers:aws::aws::aws-id") for resource in found)
    assert graph.resources["aws"].inputs["region"] == "eu-central-1"


def test_the_instance_is_closed_up_and_replaceable(graph: Graph) -> None:
    made = one(graph, "aws:ec2/instance:Instance")
    assert made["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert (made["disableApiTermination"], made["forceDestroy"]) == (True, True)
    assert made["rootBlockDevice"]["encrypted"] is True
    assert (made["privateIp"], made["ami"], made["instanceType"]) == ("10.77.0.11", "ami-1", "t3.small")


def test_the_volume_is_encrypted_and_in_its_instances_zone(graph: Graph) -> None:
    volume = one(graph, "aws:ebs/volume:Volume")
    assert {key: volume[key] for key in ("size", "type", "encrypted")} == {"size": 40, "type": "gp3", "encrypted": True}
    assert volume["availabilityZone"] == one(graph, "aws:ec2/subnet:Subnet")["availabilityZone"] == "eu-central-1a"


def test_volume_and_instance_are_labelled(graph: Graph) -> None:
    for token in ("aws:ebs/volume:Volume", "aws:ec2/instance:Instance"):
        assert one(graph, token)["tags"] == {
            "displayName": "Backup storage",
            "group": "Backup storage nodes",
            "projectScope": "backup",
            "project": "backup-storage",
            "stack": "test",
            "node": "storage-1",
            "Name": "Backup storage storage-1",
        }
    assert "node" not in one(graph, "aws:ec2/instance:Instance")["rootBlockDevice"]["tags"]


def test_the_node_finds_its_disk_by_the_volumes_id(graph: Graph) -> None:
    told = json.loads(plain(graph.resources["storage-1-configure"].inputs["stdin"]))
    assert told["device"] == "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_storage1dataid"
    assert instance.device("vol-0123456789abcdef0") == (
        "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
    )


def test_only_ssh_and_nfs_come_in(graph: Graph) -> None:
    rules = {
        (rule.inputs["cidrIpv4"], rule.inputs["fromPort"], rule.inputs["toPort"])
        for rule in graph.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    }
    assert rules == {("198.51.100.7/32", 22, 22), ("10.1.2.3/32", 2049, 2049)}
    group = one(graph, "aws:ec2/securityGroup:SecurityGroup")
    assert not {"ingress", "egress"} & group.keys()


def test_the_first_contact_pins_the_bootstrap_key_and_all_others_the_nodes_own(graph: Graph) -> None:
    connections = {
        name: plain(resource.inputs["connection"])
        for name, resource in graph.resources.items()
        if resource.typ.startswith("command:remote:")
    }
    assert connections.pop("storage-1-host-key")["hostKey"] == "ssh-ed25519 storage-1-bootstrap-key"
    assert len(connections) == 3
    assert {connection["hostKey"] for connection in connections.values()} == {"ssh-ed25519 made-on-the-node"}


def test_the_users_subnets_are_used_as_they_are() -> None:
    own = {"subnets": ["subnet-0123456789abcdef0"], "privateAddresses": ["10.3.0.20"]}
    graph = run_program({**CONFIG, **own})
    made = one(graph, "aws:ec2/instance:Instance")
    assert (made["subnetId"], made["privateIp"]) == ("subnet-0123456789abcdef0", "10.3.0.20")
    assert "associatePublicIpAddress" not in made
    assert one(graph, "aws:ebs/volume:Volume")["availabilityZone"] == "eu-central-1b"
    assert one(graph, "aws:ec2/securityGroup:SecurityGroup")["vpcId"] == "vpc-9"
    assert not graph.of_type("aws:ec2/vpc:Vpc")


def test_a_bastion_is_between_the_operator_and_the_private_address() -> None:
    bastion = {"host": "b.example.org", "user": "ops", "hostKey": "ssh-ed25519 AAAAC3Nz", "privateKey": KEY}
    graph = run_program({**CONFIG, "bastion": bastion})
    for resource in graph.of_type("command:remote:Command"):
        connection = plain(resource.inputs["connection"])
        assert (connection["host"], connection["proxy"]["host"]) == ("10.77.0.11", "b.example.org")
        assert plain(connection["proxy"]["privateKey"]) == KEY
    others = {name: found.inputs for name, found in graph.resources.items() if not found.typ.startswith("command:")}
    assert "swordfish" not in json.dumps(others, default=str)


def test_a_refused_plan_ends_the_program_before_any_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: Settings, labels: dict[str, str], *, makes: bool) -> Facts:
        raise SettingsError(["no room."])

    monkeypatch.setattr(preflight, "check", refuse)
    with pytest.raises(pulumi.RunError, match="no room"):
        run_program(CONFIG)


def test_user_data_is_cloud_config_with_the_packages_and_fits() -> None:
    text = user_data.render(KEY)
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < user_data.LIMIT_BYTES
    told = yaml.safe_load(text)
    assert set(NODE_PACKAGES) <= set(told["packages"])
    assert told["ssh_genkeytypes"] == ["ed25519"]
    (key,) = [file for file in told["write_files"] if file["content"] == KEY]
    assert (key["path"], key["permissions"]) == ("/etc/ssh/bootstrap_host_key", "0600")


def test_user_data_keeps_down_what_the_local_image_keeps_down() -> None:
    baked = (ROOT / "components/qemu/node_image/customize.sh").read_text().replace("\\\n", "")
    named = {verb: re.findall(rf"systemctl --quiet {verb} (.*)", baked)[0].split() for verb in ("disable", "mask")}
    assert sorted(user_data.MASKED) == sorted(named["mask"])
    roles = [unit for unit in named["disable"] if re.match("nfs-|gluster", unit)]
    assert sorted(user_data.STOPPED) == sorted(roles)
    assert "-name gsyncd" in baked
    assert "-name gsyncd" in user_data.render(KEY)


def test_user_data_pins_the_packages_that_the_local_image_pins() -> None:
    baked = (ROOT / "components/qemu/node_image/sources.sh").read_text()
    (pinned,) = re.findall(r"printf '(Package: .*)'", baked)
    told = yaml.safe_load(user_data.render(KEY))
    assert pinned.replace("\\n", "\n") in [file["content"] for file in told["write_files"]]


def test_the_first_contact_refuses_a_machine_that_lacks_packages(tmp_path: Path) -> None:
    for name, text in (
        ("cloud-init", "echo status: error"),
        ("dpkg-query", 'case "$4" in restic) exit 1;; *) printf installed;; esac'),
        ("tail", "echo could not resolve"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = first_contact._SCRIPT
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "The first boot did not install restic; can this machine reach Debian's package mirror?" in done.stderr
    assert "could not resolve" in done.stderr


def test_what_is_fixed_refuses_another_value_and_nothing_else() -> None:
    provider = FixedProvider()
    (failure,) = provider.check({"region": "eu-central-1"}, {"region": "us-east-1", "platform": "aws"}).failures
    assert failure.property == "region"
    assert "this stack's region is eu-central-1 and cannot become us-east-1: its data is there" in failure.reason
    assert provider.check({}, {"region": "us-east-1"}).failures == []
    assert provider.check({"region": "us-east-1"}, {"region": "us-east-1"}).failures == []


def test_a_local_stack_loads_nothing_of_aws() -> None:
    """pulumi_aws and boto3 cost a preview a second and more."""
    code = (
        "import sys; from components.platforms.registry import open_platform; import components.storage;"
        "import components.outputs; import components.config; from plan.settings import load; open_platform(load({}));"
        "print([name for name in ('pulumi_aws', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
