"""A hundred environments on a cluster whose nodes have 1 GB: served, kept apart, and a hundred-and-first added."""

from collections.abc import Iterator

import pytest

from tests.machines.clusters import Cluster, formed
from tests.machines.conftest import ENVIRONMENTS

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster, pytest.mark.timeout(7200)]

MANY = {f"site-{number:03d}": {"clients": [f"10.78.0.{number}"]} for number in range(3, 101)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("many") / "project"
    with formed(root, environments={**ENVIRONMENTS, **MANY}, memoryMb=1024) as made:
        yield made


def nothing_was_killed_for_memory(cluster: Cluster) -> None:
    for node in cluster.nodes:
        assert "Out of memory" not in cluster.must(node, "journalctl --boot --dmesg --no-pager")


def test_all_are_served_by_every_node(cluster: Cluster) -> None:
    known = cluster.whole()
    for node in known["nodes"].values():
        assert node["exports"] == 100
        assert len(node["environments"]) == 100
    nothing_was_killed_for_memory(cluster)


def test_the_addons_whole_flow_and_every_refusal_hold(cluster: Cluster) -> None:
    """Forged handles, other addresses and Gluster's own ports among them, and the serving node lost."""
    assert cluster.project.make("demo").stdout.rstrip().endswith("Everything held.")
    cluster.whole()
    nothing_was_killed_for_memory(cluster)


def test_one_more_is_one_step_on_each_node(cluster: Cluster) -> None:
    cluster.project.configure(environments={**ENVIRONMENTS, **MANY, "late": {"clients": ["10.78.1.1"]}})
    said = cluster.project.make("up").stdout
    assert "created" not in said.partition("Resources:")[2]
    for node in cluster.whole()["nodes"].values():
        assert node["exports"] == 101
