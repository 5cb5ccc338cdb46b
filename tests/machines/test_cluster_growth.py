"""A cluster grows while an application writes backups: environments, disks, and from three nodes over five to seven."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from demo.addon import Addon
from tests.machines.clusters import Cluster, application, formed
from tests.machines.conftest import ENVIRONMENTS
from tests.machines.writer import Writer, nothing_is_lost
from tests.project import connections

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("growth") / "project") as made:
        yield made


@pytest.fixture(scope="module")
def addon(cluster: Cluster) -> Iterator[Addon]:
    with application(cluster) as made:
        yield made


def data_bytes(cluster: Cluster, node: str) -> int:
    return int(cluster.must(node, "df --output=size -B1 /data | tail -n 1"))


def test_one_more_environment_is_one_step_on_each_node(cluster: Cluster, addon: Addon) -> None:
    cluster.project.usual["environments"] = {**ENVIRONMENTS, "late": {"clients": ["10.77.0.103"]}}
    cluster.project.configure()
    server = "systemctl show --property MainPID nfs-ganesha"
    with ExitStack() as opened, Writer(addon) as writer:
        shells = [opened.enter_context(cluster.shell(node)) for node in cluster.nodes]
        before = [(connections(shell), shell.run(server)) for shell in shells]
        writer.in_the_middle()
        said = cluster.project.make("up").stdout
        assert [(connections(shell) - 1, shell.run(server)) for shell in shells] == before
        writer.gets_on()
    assert "created" not in said.partition("Resources:")[2]
    assert writer.refused == []
    assert all("late" in node["environments"] for node in cluster.whole()["nodes"].values())
    cluster.look()
    assert set(cluster.outputs["addon"]["environments"]) == {"shop", "blog", "late"}


def test_the_disks_of_all_nodes_grow_online(cluster: Cluster, addon: Addon) -> None:
    boots = {node: cluster.boot(node) for node in cluster.nodes}
    before = data_bytes(cluster, cluster.nodes[0])
    cluster.project.usual["sizeGb"] = 7
    cluster.project.configure()
    with Writer(addon) as writer:
        writer.in_the_middle()
        cluster.project.make("up")
        writer.gets_on()
    assert writer.refused == []
    nothing_is_lost(addon, writer)
    for node in cluster.nodes:
        assert data_bytes(cluster, node) - before > 1.7e9
        assert cluster.boot(node) == boots[node]
    cluster.whole()
    assert cluster.differences(addon.name) == {}


def test_a_healthy_node_gets_a_bigger_machine_and_no_other_is_touched(cluster: Cluster, addon: Addon) -> None:
    node, *others = cluster.nodes
    boots = {name: cluster.boot(name) for name in cluster.nodes}
    cluster.project.usual["memoryMb"] = 1280
    cluster.project.configure()
    with Writer(addon) as writer:
        writer.in_the_middle()
        cluster.project.make("replace", NODE=node)
        known = cluster.project.status()["nodes"][node]["cluster"]
        assert known["quorum"] is True
        writer.gets_on()
    assert writer.failed == []
    assert int(cluster.must(node, "awk '/MemTotal/ {print $2}' /proc/meminfo")) > 1100 * 1024
    assert cluster.boot(node) != boots[node]
    assert {name: cluster.boot(name) for name in others} == {name: boots[name] for name in others}
    cluster.whole()
    assert cluster.differences(addon.name) == {}
    nothing_is_lost(addon, writer)
    # As it was, so that growing, which follows, restarts nobody.
    del cluster.project.usual["memoryMb"]
    cluster.project.configure()
    cluster.project.make("replace", NODE=node)


@contextmanager
def held_to_the_bricks_there_are(cluster: Cluster, node: str) -> Iterator[None]:
    """The node's running NFS server reaches no other member anew, as one does not that has too much to do."""
    own = next(entry["privateAddress"] for entry in cluster.outputs["nodes"] if entry["name"] == node)
    # The group is that of this very process: when the service starts anew, its group is another.
    rule = (
        'socket cgroupv2 level 2 "system.slice/nfs-ganesha.service" '
        f"ip daddr != {own} tcp dport 49152-49251 ct state new drop"
    )
    cluster.must(
        node,
        "nft add table inet fault && nft add chain inet fault away '{ type filter hook output priority 0; }' "
        f"&& nft add rule inet fault away '{rule}'",
    )
    try:
        yield
    finally:
        cluster.must(node, "nft delete table inet fault")


@pytest.mark.parametrize("count", [5, 7])
def test_nodes_are_added_and_then_more_may_be_lost(cluster: Cluster, addon: Addon, count: int) -> None:
    cluster.project.usual["nodes"] = count
    cluster.project.configure()
    serving = cluster.holder()
    # What is kept for good has to be copied to each node that comes, and is: that takes as long as there is of it.
    addon.rotate(keep_last=3)
    with Writer(addon, rests=True) as writer, held_to_the_bricks_there_are(cluster, serving):
        writer.in_the_middle()
        cluster.project.make("up")
        # It would have gone on writing to them alone.
        assert "keeps to bricks" in cluster.must(serving, "journalctl --quiet --unit storage-node-brick")
        cluster.look()
        assert len(cluster.nodes) == count
        writer.gets_on()
    # The server that was started anew may have had no time to answer for what it did.
    assert writer.failed == []
    assert len(writer.unanswered) <= 1
    known = cluster.whole()
    for node in known["nodes"].values():
        assert [brick["online"] for brick in node["cluster"]["bricks"]] == [True] * count
    # The oldest go, so that what is left has to have been filled.
    lost = cluster.nodes[: count // 2]
    with Writer(addon, rests=True) as writer:
        writer.in_the_middle()
        for node in lost:
            cluster.machine(node).kill()
        writer.gets_on()
        nothing_is_lost(addon, writer)
        cluster.power_on(*lost)
    cluster.whole()
    assert cluster.differences(addon.name) == {}
    nothing_is_lost(addon, writer)
