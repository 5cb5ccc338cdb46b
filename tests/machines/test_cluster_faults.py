"""What befalls nodes of a cluster while an application writes backups: none is lost, and all heals by itself."""

from collections.abc import Iterator

import pytest

from demo.addon import Addon
from demo.tree import Tree
from tests.machines.bricks import full
from tests.machines.clusters import Cluster, application, formed, lose_for_good, writes_are_refused
from tests.machines.writer import Writer, nothing_is_lost
from tests.project import boot_id

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("faults") / "project") as made:
        yield made


@pytest.fixture(scope="module")
def addon(cluster: Cluster) -> Iterator[Addon]:
    with application(cluster) as made:
        yield made


@pytest.fixture
def kept(cluster: Cluster, addon: Addon) -> Iterator[Writer]:
    """A writer; when the fault is over, the cluster is whole by itself and nothing that was reported is lost."""
    cluster.whole()
    # Every byte of what is kept is read when the fault is over.
    addon.rotate(keep_last=3)
    writer = Writer(addon)
    with writer:
        writer.in_the_middle()
        yield writer
    # A server that dies takes the answers with it that it owes, and they are of one backup.
    assert len(writer.unanswered) <= 1
    cluster.whole()
    assert cluster.differences(addon.name) == {}
    nothing_is_lost(addon, writer)


def test_a_node_that_is_lost_for_good_is_filled_while_backups_go_on(cluster: Cluster, kept: Writer) -> None:
    holder = cluster.holder()
    lost = next(node for node in cluster.nodes if node != holder)
    lose_for_good(cluster.directory, lost)
    kept.gets_on()
    cluster.project.make("replace", NODE=lost)
    cluster.look()
    # What was not written meanwhile was there before GlusterFS was.
    births = "cd /brick/brick-*/ && stat -c %.3W shop/config .glusterfs/indices"
    copied, began = map(float, cluster.must(lost, births).split())
    assert copied < began
    kept.gets_on()
    assert kept.failed == []


@pytest.mark.parametrize("node", ["storage-1", "storage-2", "storage-3"])
def test_each_node_may_lose_its_power(cluster: Cluster, kept: Writer, node: str) -> None:
    cluster.machine(node).kill()
    kept.gets_on()
    known = cluster.project.status()
    assert known["healthy"] is False
    for name in set(cluster.nodes) - {node}:
        assert known["nodes"][name]["cluster"]["quorum"] is True
        assert any(node in problem for problem in known["nodes"][name]["problems"])
    cluster.power_on(node)
    kept.gets_on()
    assert kept.failed == []


def test_what_was_just_reported_as_made_is_on_every_brick(cluster: Cluster, addon: Addon) -> None:
    tree = Tree(addon.machine, "/srv/last", 900)
    tree.make()
    node = cluster.holder()
    addon.backup(tree.path, "2026-04-30_020000_UTC", "auto")
    cluster.machine(node).kill()
    cluster.power_on(node)
    cluster.whole()
    assert cluster.differences(addon.name) == {}


def test_the_serving_node_may_lose_its_network(cluster: Cluster, kept: Writer) -> None:
    node = cluster.holder()
    with cluster.network_cut(node):
        # Both sides are asked to write: only the majority may.
        writes_are_refused(cluster, node)
        kept.gets_on()
        assert "10.77.0.10/" not in cluster.must(node, "ip -brief address")
        assert cluster.holder() != node
        cluster.knows_of_no_majority(node)
    kept.gets_on()
    assert kept.failed == []


def test_without_a_majority_writes_end_and_go_on_when_it_is_back(cluster: Cluster, kept: Writer) -> None:
    left, *lost = cluster.nodes
    for node in lost:
        cluster.machine(node).kill()
    writes_are_refused(cluster, left)
    cluster.knows_of_no_majority(left)
    cluster.power_on(*lost)
    # The backup that was under way may have been refused; the next must not be.
    kept.gets_on()


def test_all_nodes_may_lose_their_power_at_once(cluster: Cluster, kept: Writer) -> None:
    for node in cluster.nodes:
        cluster.machine(node).kill()
    cluster.power_on(*cluster.nodes)
    kept.gets_on()


def test_an_nfs_server_that_started_too_early_serves_all(cluster: Cluster, kept: Writer) -> None:
    holder = cluster.holder()
    node = next(name for name in cluster.nodes if name != holder)
    cluster.must(node, "systemctl stop glusterd && systemctl --no-block restart nfs-ganesha")
    listens = "ss -Hltn sport = :2049 | grep -q ."
    cluster.must(node, f"timeout 600 sh -c 'while {listens}; do sleep 0.2; done; until {listens}; do sleep 1; done'")
    assert cluster.project.status()["nodes"][node]["exports"] == 0
    cluster.must(node, "systemctl start glusterd")
    kept.gets_on()
    assert kept.refused == []


def test_one_nodes_full_disk_stops_nobody(cluster: Cluster, kept: Writer) -> None:
    node = "storage-2"
    with full(cluster, node):
        kept.gets_on()
        said = " ".join(cluster.project.status()["nodes"][node]["problems"])
        assert "free" in said
    kept.gets_on()
    assert kept.refused == []


def test_all_disks_full_refuses_backups_and_hurts_none(cluster: Cluster, kept: Writer) -> None:
    with full(cluster, *cluster.nodes):
        kept.is_refused()
    kept.gets_on()
    assert "no space left" in " ".join(kept.failed).lower()


def test_a_brick_that_dies_is_started_again(cluster: Cluster, kept: Writer) -> None:
    node = "storage-3"
    before = cluster.must(node, "pidof glusterfsd").strip()
    port = cluster.must(node, f"tr '\\0' '\\n' </proc/{before}/cmdline | grep --after-context=1 brick-port | tail -n 1")
    cluster.must(node, f"kill -KILL {before}")
    kept.gets_on()
    cluster.whole()
    assert cluster.must(node, "pidof glusterfsd").strip() != before
    # A client that was told of the port of before would dial that for good.
    for member in cluster.nodes:
        cluster.must(member, f"timeout 30 bash -c '</dev/tcp/10.77.0.13/{port.strip()}'")
    assert kept.refused == []


def test_a_self_heal_daemon_that_dies_is_started_again(cluster: Cluster, kept: Writer) -> None:
    node, file = "storage-2", "/run/gluster/shd/data/data-shd.pid"
    before = cluster.must(node, f"cat {file}").strip()
    cluster.must(node, f"kill -KILL {before}")
    kept.gets_on()
    cluster.whole()
    assert cluster.must(node, f"ps -o args= -p $(cat {file})").count("glustershd") > 0
    assert cluster.must(node, f"cat {file}").strip() != before
    assert kept.refused == []


def test_a_node_may_reboot_to_finish_an_update(cluster: Cluster, kept: Writer) -> None:
    node = cluster.holder()
    with cluster.shell(node) as shell:
        booted = boot_id(shell)
        # What the packages of a new kernel do; an administrator then restarts the node.
        shell.run("touch /run/reboot-required")
        assert cluster.project.status()["nodes"][node]["rebootRequired"] is True
        shell.attempt("systemctl reboot")
    kept.gets_on()
    cluster.project.wait_for_boot(booted, node=cluster.nodes.index(node))
    kept.gets_on()
    assert kept.failed == []


def test_a_node_whose_kernel_dies_starts_anew(cluster: Cluster, kept: Writer) -> None:
    node = cluster.holder()
    before = cluster.boot(node)
    cluster.on(node, "systemd-run --on-active=1 --timer-property=AccuracySec=1s sh -c 'echo c > /proc/sysrq-trigger'")
    kept.gets_on()
    cluster.whole()
    assert cluster.boot(node) != before
    kept.gets_on()
    assert kept.failed == []
