"""A cluster on three machines that exist already, made by a user who is not root; one of them is lost for a while."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from components.qemu.machine import Machine
from demo.addon import Addon
from demo.machines import application_machines
from demo.tree import Tree
from plan.addon import share
from tests.machines.existing import ADMIN, Existing, machines, project_on
from tests.project import Project, connections

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.hosts, pytest.mark.cluster]

ADDRESSES = ("10.77.0.11", "10.77.0.12", "10.77.0.13")


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Existing]:
    with machines(tmp_path_factory.mktemp("existing"), *ADDRESSES) as made:
        yield made


@pytest.fixture(scope="module")
def storage(existing: Existing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = project_on(existing, tmp_path_factory.mktemp("storage") / "project", topology="cluster", sizeGb=5)
    project.make("up")
    yield project
    project.make("destroy")


def whole(storage: Project, seconds: float = 1200) -> dict[str, Any]:
    """What the nodes say once all of them are healthy."""
    deadline = time.monotonic() + seconds
    while not (known := storage.status())["healthy"]:
        assert time.monotonic() < deadline, known
        time.sleep(2)
    return known


def test_three_hosts_are_a_cluster(existing: Existing, storage: Project) -> None:
    known = whole(storage)
    for node in known["nodes"].values():
        assert [brick["online"] for brick in node["cluster"]["bricks"]] == [True] * 3
    assert [node["privateAddress"] for node in storage.outputs()["nodes"]] == list(ADDRESSES)
    assert storage.make("ssh", CMD="whoami").stdout.split()[-1] == ADMIN


def test_a_second_up_connects_to_nothing(existing: Existing, storage: Project) -> None:
    before = [connections(root) for root in existing.roots]
    assert "unchanged" in storage.make("up").stdout
    assert [connections(root) for root in existing.roots] == before


def test_a_host_may_be_lost_and_come_back(existing: Existing, storage: Project) -> None:
    with application_machines(existing.directory, {"shop": "10.77.0.101"}, print) as shells:
        addon = Addon(shells["shop"], "shop", share(storage.outputs()["addon"], "shop"))
        addon.mount()
        tree = Tree(shells["shop"], "/srv/site", 7)
        before = tree.make()
        addon.backup(tree.path, "2026-02-01_020000_UTC")
        # The last one: what is mounted stays where it is.
        lost = Machine(existing.directory, "host-3")
        lost.kill()
        addon.backup(tree.path, "2026-02-01_120000_UTC")
        assert storage.status()["healthy"] is False
        lost.start()
        lost.wait(existing.hosts[2]["hostKey"])
        whole(storage)
        addon.check(read_data=True)
        tree.empty()
        addon.restore("2026-02-01_120000_UTC", "/")
        assert tree.digest() == before
