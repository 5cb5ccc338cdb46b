"""A storage on AWS whose instances are real machines: made, used, grown, lost and replaced, and kept to its region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from components.qemu import disk
from demo.addon import Addon
from demo.shell import Shell
from demo.tree import Tree
from tests.aws.cloud import Cloud
from tests.aws.machines import Machines, application, booting, settings
from tests.engine.ssh_server import Loop
from tests.project import Project, boot_id, connections

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.aws]

FAR = "eu-west-1"


@pytest.fixture(scope="module")
def machines(cloud: Cloud, loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with booting(cloud, FAR, tmp_path_factory.mktemp("machines"), loop) as made:
        yield made


@pytest.fixture(scope="module")
def project(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A standalone storage as `make up` leaves it."""
    made = Project(tmp_path_factory.mktemp("project") / "checkout", **settings(machines))
    made.make("up")
    return made


@pytest.fixture(scope="module")
def addon(project: Project, machines: Machines) -> Iterator[Addon]:
    with application(project, machines) as made:
        yield made


@contextmanager
def shell(project: Project, machines: Machines, node: int = 0) -> Iterator[Shell]:
    """A root shell on a node, around the bastion."""
    known = project.outputs()
    facts = known["nodes"][node]
    definition = machines.machine(facts["privateAddress"]).definition
    assert definition is not None
    way = (definition.address, definition.ssh_port, facts["hostKey"], known["operator"]["privateKey"])
    with Shell(facts["name"], *way) as opened:
        yield opened


def data_bytes(node: Shell) -> int:
    return int(node.run("df --output=size -B1 /data | tail -n 1"))


def test_a_site_comes_back_from_a_node_that_its_user_data_made(project: Project, addon: Addon) -> None:
    known = project.status()
    assert known["healthy"] is True, known
    tree = Tree(addon.machine, "/srv/site", 1)
    before = tree.make()
    addon.backup(tree.path, "2026-02-01_120000_UTC")
    tree.empty()
    addon.restore("2026-02-01_120000_UTC", "/")
    assert tree.digest() == before
    said = project.make("ssh", CMD="/root/getBackups.sh shop").stdout
    assert '"2026-02-01_120000_UTC"' in said


def test_the_data_is_on_the_volume_that_the_cloud_knows(project: Project, machines: Machines) -> None:
    (volume,) = machines.cloud.data_volumes(machines.region)
    with shell(project, machines) as node:
        serial = node.run("lsblk -n -o SERIAL $(findmnt -n -o SOURCE /data)").strip()
        assert serial == volume["VolumeId"].replace("-", "")
        assert node.run("cat /var/lib/cloud/data/instance-id").strip() == volume["Attachments"][0]["InstanceId"]


def test_cloud_init_finds_nothing_wrong_with_the_user_data(project: Project, machines: Machines) -> None:
    with shell(project, machines) as node:
        assert "Valid schema user-data" in node.run("cloud-init schema --system 2>&1")


def test_a_second_up_connects_to_nothing(project: Project, machines: Machines) -> None:
    with shell(project, machines) as node:
        before = connections(node)
        assert "unchanged" in project.make("up").stdout
        assert connections(node) == before


def test_the_volume_grows_while_it_is_in_use(project: Project, machines: Machines, addon: Addon) -> None:
    with shell(project, machines) as node:
        booted, before = boot_id(node), data_bytes(node)
        project.usual["sizeGb"] = 7
        project.configure()
        project.make("up")
        assert data_bytes(node) - before > 1.7e9
        assert boot_id(node) == booted
    addon.check(read_data=True)


def test_a_lost_instance_comes_back_with_its_backups(project: Project, machines: Machines, addon: Addon) -> None:
    ec2 = machines.cloud.ec2(machines.region)
    (lost,), (volume,) = (machines.cloud.instances(machines.region), machines.cloud.data_volumes(machines.region))
    ec2.modify_instance_attribute(InstanceId=lost["InstanceId"], DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[lost["InstanceId"]])
    machines.follow()
    assert machines.running() == []
    project.make("refresh")
    project.make("up")
    (fresh,), (kept,) = (machines.cloud.instances(machines.region), machines.cloud.data_volumes(machines.region))
    assert fresh["InstanceId"] != lost["InstanceId"]
    assert kept["VolumeId"] == volume["VolumeId"]
    # The application's mount has waited, and goes on as it is.
    addon.check(read_data=True)
    assert [entry["tags"][0].split()[0] for entry in addon.snapshots()] == ["2026-02-01_120000_UTC"]
    assert project.status()["healthy"] is True


def test_no_call_went_to_another_region(project: Project, machines: Machines) -> None:
    """From the first `up` over the backups and the growth to the replaced instance."""
    asked = machines.cloud.log()
    assert {each.region for each in asked} == {FAR}
    assert {"RunInstances", "ModifyVolume", "AttachVolume"} <= {each.action for each in asked}


def test_another_region_is_refused_and_the_storage_stays_as_it_is(project: Project, machines: Machines) -> None:
    before = machines.running()
    machines.cloud.forget()
    project.configure(region="eu-north-1")
    refused = project.make("up", check=False)
    project.configure()
    assert {each.action for each in machines.cloud.log() if each.region != FAR} <= {
        "GetCallerIdentity",
        "DescribeRegions",
    }
    assert refused.returncode != 0
    assert "this stack's region is eu-west-1 and cannot become eu-north-1: its data is there" in refused.stdout
    machines.follow()
    assert machines.running() == before
    assert project.status()["healthy"] is True


def test_a_destroy_with_protected_volumes_is_refused_and_leaves_the_storage_serving(
    project: Project, machines: Machines, addon: Addon
) -> None:
    refused = project.make("destroy", check=False)
    assert refused.returncode != 0
    assert "protected" in refused.stdout
    machines.follow()
    addon.check()
    project.shell(f"pulumi destroy --yes --exclude-protected --stack {project.stack}")
    machines.follow()
    assert machines.running() == []
    (kept,) = machines.cloud.data_volumes(machines.region)
    assert disk.size_gb(machines.directory, kept["VolumeId"].replace("-", "")) == kept["Size"] == 7
