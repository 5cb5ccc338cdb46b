"""What befalls nodes of a cluster while an application writes backups: none is lost, and all heals by itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.addon import Addon
from demo.tree import Tree
from tests.machines.bricks import (
    full,
    identified,
    identify_anew,
    identity,
    make_again,
    not_healed,
    slow,
    start_anew,
    without_brick,
)
from tests.machines.clusters import Cluster, application, formed, lose_for_good, writes_are_refused
from tests.machines.reader import always_readable
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


def test_a_brick_that_the_others_take_for_whole_is_filled(cluster: Cluster, addon: Addon) -> None:
    """As a change of the bricks leaves it that failed on a member at its end: in the volume, blank, and not told of."""
    tree = Tree(addon.machine, "/srv/untold", 901)
    tree.make()
    addon.backup(tree.path, "2026-04-30_030000_UTC", "auto")
    cluster.whole()
    node = "storage-3"
    brick = cluster.must(node, "ls -d /brick/brick-*").strip()
    with without_brick(cluster, node), cluster.shell(node) as shell:
        name = "--name=trusted.glusterfs.volume-id"
        volume = shell.run(f"getfattr --absolute-names {name} --encoding=hex {brick} | sed -n 's/.*=//p'").strip()
        shell.run(f"rm -r {brick} && mkdir --parents {brick}/.glusterfs/indices")
        shell.run(f"setfattr {name} --value={volume} {brick}")
        shell.run(f"gluster --mode=script volume set data user.storage-node-fresh 10.77.0.13:{brick}")
    assert cluster.must(node, f"find {brick} -type f -path '*/{addon.name}/*'") == ""
    with always_readable(addon):
        # One that knows none of the files yet, and asks every brick for them.
        cluster.must(cluster.holder(), "systemctl restart nfs-ganesha")
        cluster.project.make("repair")
        cluster.whole()
    assert cluster.differences(addon.name) == {}
    assert "user.storage-node-fresh: none" in cluster.must(node, "gluster volume info data")


def test_what_was_being_made_when_the_serving_node_died_is_on_every_brick(cluster: Cluster, addon: Addon) -> None:
    """The node's own brick had not made the directory yet, those of the others had, and nobody is left to say so.

    What is removed in the same place before the node is back is not brought back by it.
    """
    node = cluster.holder()
    others = [name for name in cluster.nodes if name != node]
    repository, made, removed = str(addon.own["repository"]), "made-in-the-middle", "removed-meanwhile"
    brick = f"/brick/brick-*/{addon.name}"
    # What a brick tells of itself: also what it has been asked for and has not answered yet.
    dumps = "/run/gluster/*.dump.*"
    asked = f"rm -f {dumps}; kill -USR1 $(pidof glusterfsd); sleep 0.5; grep -qs op=MKDIR {dumps}"
    with slow(cluster, "mkdir"), addon.machine.again() as shell, ThreadPoolExecutor() as pool:
        shell.run(f"echo old >{repository}/{removed}")
        # The next server says that it exists, when it is asked again.
        making = pool.submit(shell.run, f"mkdir {repository}/{made}; echo kept >{repository}/{made}/file")
        cluster.must(node, f"timeout 60 sh -c 'until {asked}; do :; done' && kill -STOP $(pidof glusterfsd)")
        for other in others:
            cluster.must(other, f"timeout 60 sh -c 'until test -d {brick}/{made}; do sleep 0.1; done'")
        assert cluster.must(node, f"find {brick} -name {made}") == ""
        cluster.machine(node).kill()
        making.result()
        shell.run(f"rm {repository}/{removed}")
        cluster.power_on(node)
        cluster.whole()
        assert cluster.must(node, f"cat {brick}/{made}/file") == "kept\n"
        assert cluster.differences(addon.name) == {}
        assert shell.run(f"find {repository} -name {removed}") == ""
        shell.run(f"rm -r {repository}/{made}")


def test_what_a_brick_makes_once_more_before_it_is_healed_is_one_again(cluster: Cluster, addon: Addon) -> None:
    """The server that had made it on the others died before it said so, and the next one is asked for it."""
    cluster.whole()
    holder = cluster.holder()
    lacking = next(name for name in cluster.nodes if name != holder)
    repository = str(addon.own["repository"])
    with addon.machine.again() as shell, not_healed(cluster):
        with without_brick(cluster, lacking):
            shell.run(f"mkdir {repository}/twice")
            shell.run(f"echo kept >{repository}/twice/file; echo kept >{repository}/file-twice")
        make_again(cluster, holder, addon.name, "twice", "file-twice", on=lacking)
        for name in (f"{addon.name}/twice", f"{addon.name}/file-twice"):
            assert identity(cluster, lacking, name) != identity(cluster, holder, name)
    cluster.whole()
    assert cluster.differences(addon.name) == {}
    said = [cluster.must(node, "journalctl --unit storage-node-brick --output cat") for node in cluster.nodes]
    assert f"/{addon.name}/twice had been made twice" in "".join(said)
    with addon.machine.again() as shell:
        kept = f"{repository}/twice/file {repository}/file-twice"
        assert shell.run(f"cat {kept}") == "kept\nkept\n"
        shell.run(f"rm -r {kept} {repository}/twice")


def test_what_was_made_twice_when_all_lost_their_power_is_one_again(cluster: Cluster, addon: Addon) -> None:
    """Nobody has noted it, so nothing is listed as to be healed."""
    cluster.whole()
    first, other, *_ = cluster.nodes
    made = f"{addon.name}/made-twice"
    directory = f"{addon.own['repository']}/made-twice"
    with addon.machine.again() as shell:
        shell.run(f"mkdir {directory}")
        kept = identity(cluster, other, made)
        # The one that would be kept if it were one brick's word against another's.
        identify_anew(cluster, first, made)
        for node in cluster.nodes:
            cluster.machine(node).kill()
        cluster.power_on(*cluster.nodes)
        # Before an application asks for it: a change in it would note that a brick refused.
        identified(cluster, first, made, kept)
        cluster.whole()
        assert {identity(cluster, node, made) for node in cluster.nodes} == {kept}
        assert cluster.differences(addon.name) == {}
        shell.run(f"echo kept >{directory}/file && rm -r {directory}")
    said = [cluster.must(node, "journalctl --boot --unit storage-node-brick --output cat") for node in cluster.nodes]
    assert f"/{made} had been made twice; what {other}'s brick has is kept." in "".join(said)


def test_a_directory_without_a_change_time_is_its_owners(cluster: Cluster, addon: Addon) -> None:
    """As a heal leaves it that found no copy right, with times from anywhere in its memory (options.py)."""
    directory = f"{addon.own['repository']}/timeless"
    # GlusterFS's own times of a file: version 1, no flags, and 0 for change, content and access.
    times = f"--name=trusted.glusterfs.mdata --value=0x01{'00' * 56}"
    with addon.machine.again() as shell:
        shell.run(f"mkdir {directory} && echo kept >{directory}/file")
        for node in cluster.nodes:
            cluster.must(node, f"setfattr {times} /brick/brick-*/{addon.name}/timeless")
        # One that runs has the right ones in its memory.
        start_anew(cluster)
        assert shell.run(f"ls {directory}") == "file\n"
        shell.run(f"rm -r {directory}")
