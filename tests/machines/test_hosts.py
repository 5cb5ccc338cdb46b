"""A storage on a machine that exists already: what is refused, and the same flow as on a platform's own machine."""

import json
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest

from demo.addon import Addon
from demo.flow import Stage, steps
from demo.machines import application_machines
from demo.tree import Tree
from plan.addon import share
from tests.machines.existing import ADMIN, GUEST, OPERATOR, Existing, machines, project_on
from tests.project import Project, connections

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.hosts]

ADDRESS = "10.77.0.11"


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Existing]:
    with machines(tmp_path_factory.mktemp("existing"), ADDRESS) as made:
        yield made


@pytest.fixture(scope="module")
def other(existing: Existing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A stack that never gets the machine."""
    project = project_on(existing, tmp_path_factory.mktemp("other") / "project")
    yield project
    project.configure()
    project.make("destroy")


@pytest.fixture(scope="module")
def storage(existing: Existing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A storage on the machine, made by a user who is not root."""
    project = project_on(existing, tmp_path_factory.mktemp("storage") / "project")
    before = connections(existing.root)
    project.make("up")
    project.first_connections = connections(existing.root) - before
    yield project
    project.configure()
    project.make("destroy")
    assert existing.root.run("ls /data").split() == ["blog", "shop"], "what the stack forgets stays on the machine"


def refused(project: Project, existing: Existing, target: str = "preview", **changed: Any) -> str:
    """What is said where the machine is described otherwise than it may be; it is as before."""
    settings: dict[str, Any] = {key: changed.pop(key) for key in ("adminCidrs", "hosts", "sizeGb") if key in changed}
    project.configure(**{"hosts": [{**existing.host, **changed}], **settings})
    existing.root.run("touch /root/mark")
    done = project.make(target, check=False)
    assert done.returncode != 0, done.stdout
    # sudo itself notes that somebody has used it.
    found = "find /etc /usr /root /home /opt -xdev -newer /root/mark -type f ! -name .sudo_as_admin_successful"
    assert existing.root.run(found) == ""
    return done.stdout


@pytest.mark.parametrize("target", ["preview", "up"])
def test_a_disk_that_holds_data_is_refused_before_anything_is_changed(
    existing: Existing, other: Project, target: str
) -> None:
    said = refused(other, existing, target, device="/dev/disk/by-id/virtio-root")
    assert "The data disk /dev/disk/by-id/virtio-root already holds a ext4 file system labelled 'node-root'" in said


def test_all_that_is_wrong_is_told_at_once(existing: Existing, other: Project) -> None:
    said = refused(other, existing, device="/dev/disk/by-id/virtio-photos", adminCidrs=["192.0.2.1"])
    assert "It has no disk /dev/disk/by-id/virtio-photos; /dev/disk/by-id has " in said
    assert f"this SSH session comes from {OPERATOR}, and only 192.0.2.1/32 would be let in" in said


def test_a_disk_that_is_too_small_is_refused(existing: Existing, other: Project) -> None:
    assert "has 10.7 GB, less than the 20 GB of sizeGb" in refused(other, existing, sizeGb=20)


def test_a_wrong_host_key_is_refused(existing: Existing, other: Project) -> None:
    another = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    assert "It answers with another host key than hostKey says." in refused(other, existing, hostKey=another)


def test_a_host_that_is_listed_twice_is_refused(existing: Existing, other: Project) -> None:
    said = refused(other, existing, hosts=[existing.host, existing.host])
    assert "backup-storage:hosts[1] has the same address and port as hosts[0]; list each machine once." in said


def test_a_user_without_sudo_is_refused(existing: Existing, other: Project) -> None:
    said = refused(other, existing, user=GUEST)
    assert f"{GUEST} may not use sudo without a password (sudo: a password is required)" in said


def test_a_machine_without_sudo_is_refused(existing: Existing, other: Project) -> None:
    with existing.without("/usr/bin/sudo"):
        assert f"{ADMIN} may not use sudo without a password" in refused(other, existing)


def test_a_machine_without_python_is_refused(existing: Existing, other: Project) -> None:
    with existing.without("/usr/bin/python3"):
        assert "It has no python3" in refused(other, existing)


def test_another_distribution_is_refused(existing: Existing, other: Project) -> None:
    existing.root.run("cp -L /etc/os-release /root/os-release && cp -P /etc/os-release /root/os-release.link")
    existing.root.run("rm /etc/os-release && sed 's/13/12/g; s/trixie/bookworm/g' /root/os-release >/etc/os-release")
    try:
        assert "It runs Debian GNU/Linux 12 (bookworm); a node needs Debian 13." in refused(other, existing)
    finally:
        existing.root.run("cp -P --remove-destination /root/os-release.link /etc/os-release")


def test_a_machine_that_does_not_answer_is_refused(existing: Existing, other: Project) -> None:
    assert "It cannot be reached (" in refused(other, existing, port=2)


def test_a_user_with_sudo_makes_a_storage(existing: Existing, storage: Project) -> None:
    known = storage.outputs()
    assert known["health"]["storage-1"]["healthy"] is True
    assert known["addon"]["nodes"][0]["privateAddress"] == ADDRESS
    assert known["addon"]["environments"]["shop"]["mounts"][0]["source"] == f"{ADDRESS}:/data/shop"
    assert 4 <= storage.first_connections <= 8, "look, copy, configuration, environments"
    assert storage.status()["healthy"] is True
    assert storage.make("ssh", CMD="whoami").stdout.split()[-1] == ADMIN


def test_a_second_up_changes_nothing_and_connects_to_nothing(existing: Existing, storage: Project) -> None:
    before = connections(existing.root)
    said = storage.make("up").stdout
    assert not any(word in said for word in ("created", "updated", "deleted", "replaced", "warning"))
    assert connections(existing.root) == before


def test_a_machine_that_is_down_holds_up_no_preview_that_does_not_concern_it(
    existing: Existing, storage: Project
) -> None:
    existing.root.run("systemctl stop ssh.service")
    try:
        said = storage.make("preview").stdout
    finally:
        existing.root.run("systemctl start ssh.service")
    assert "unchanged" in said


def test_the_operators_key_is_in_no_file_in_clear(existing: Existing, storage: Project) -> None:
    body = max(existing.key.export_private_key().split(), key=len)
    files = [path for path in storage.root.rglob("*") if path.is_file()]
    assert any(path.name == "test.json" for path in files), "no state file was found, so the search proves nothing"
    assert [str(path) for path in files if body in path.read_bytes()] == []


def test_root_takes_over_from_the_user_and_nothing_else_changes(existing: Existing, storage: Project) -> None:
    before = storage.outputs()["addon"]
    storage.configure(hosts=[{**existing.host, "user": "root"}])
    storage.make("up")
    assert storage.outputs()["addon"] == before
    assert storage.status()["healthy"] is True
    storage.configure()
    storage.make("up")


def test_the_addons_flow_holds(existing: Existing, storage: Project) -> None:
    addon = storage.outputs()["addon"]
    addresses = {"shop": "10.77.0.101", "blog": "10.77.0.102"}
    with application_machines(existing.directory, addresses, print) as shells:
        site = Addon(shells["shop"], "shop", share(addon, "shop"))
        reader = Addon(shells["blog"], "blog", share(addon, "blog"))
        tree = Tree(shells["shop"], "/srv/site", 7)
        stage = Stage(existing.root, site, reader, shells["blog"], addon, tree)
        for _, step in steps():
            step(stage)
    listed = json.loads(existing.root.run("/root/getBackups.sh shop"))
    assert listed == {"result": 0, "backups": ["2026-02-01_020000_UTC", "2026-02-01_120000_UTC"]}
