"""A cluster on AWS whose instances are real machines in three zones: formed, used, an instance lost and replaced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.addon import Addon
from demo.tree import Tree
from tests.aws.cloud import Cloud
from tests.aws.machines import Machines, application, booting, settings
from tests.engine.ssh_server import Loop
from tests.project import Project

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.aws, pytest.mark.cluster]

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def machines(cloud: Cloud, loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with booting(cloud, REGION, tmp_path_factory.mktemp("machines"), loop) as made:
        yield made


@pytest.fixture(scope="module")
def project(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A cluster of three as `make up` leaves it."""
    made = Project(tmp_path_factory.mktemp("project") / "checkout", **settings(machines, topology="cluster"))
    made.make("up")
    return made


@pytest.fixture(scope="module")
def addon(project: Project, machines: Machines) -> Iterator[Addon]:
    with application(project, machines) as made:
        yield made


def test_the_members_are_in_three_zones_each_with_its_volume(project: Project, machines: Machines) -> None:
    known = project.status()
    assert known["healthy"] is True, known
    instances = machines.cloud.instances(REGION)
    assert len({each["Placement"]["AvailabilityZone"] for each in instances}) == len(instances) == 3
    assert sorted(machines.running()) == sorted(each["InstanceId"] for each in instances)
    zones = {each["InstanceId"]: each["Placement"]["AvailabilityZone"] for each in instances}
    for volume in machines.cloud.data_volumes(REGION):
        assert volume["AvailabilityZone"] == zones[volume["Attachments"][0]["InstanceId"]]


def test_a_site_comes_back_and_every_node_serves_it(project: Project, machines: Machines, addon: Addon) -> None:
    sources = [mount["source"] for mount in project.outputs()["addon"]["environments"]["shop"]["mounts"]]
    addresses = [node["privateAddress"] for node in project.outputs()["nodes"]]
    assert sources == [f"{address}:/data/shop" for address in addresses]
    tree = Tree(addon.machine, "/srv/site", 1)
    before = tree.make()
    addon.backup(tree.path, "2026-02-01_120000_UTC")
    tree.empty()
    addon.restore("2026-02-01_120000_UTC", "/")
    assert tree.digest() == before
    for source in sources:
        addon.machine.run(f"mkdir -p /mnt/other && mount -t nfs4 {source} /mnt/other")
        checked = addon.restic("check --read-data", {**addon.own, "repository": "/mnt/other"})
        addon.machine.run("umount /mnt/other")
        assert checked.status == 0, checked


def test_a_lost_instance_is_replaced_by_one_command(project: Project, machines: Machines, addon: Addon) -> None:
    ec2 = machines.cloud.ec2(REGION)
    lost = machines.instance(project.outputs()["nodes"][2]["privateAddress"])
    ec2.modify_instance_attribute(InstanceId=lost["InstanceId"], DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[lost["InstanceId"]])
    machines.follow()
    addon.backup("/srv/site", "2026-02-02_120000_UTC")
    assert project.status()["healthy"] is False
    project.make("replace", NODE="storage-3")
    known = project.status()
    assert known["healthy"] is True, known
    addon.check(read_data=True)
    names = [entry["tags"][0].split()[0] for entry in addon.snapshots()]
    assert names == ["2026-02-01_120000_UTC", "2026-02-02_120000_UTC"]


def test_no_call_went_to_another_region(project: Project, machines: Machines) -> None:
    assert {each.region for each in machines.cloud.log()} == {REGION}
