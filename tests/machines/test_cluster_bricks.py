"""What the bricks of a cluster have differently after a fault becomes the same on all of them, and what is right."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.addon import Addon
from demo.tree import Tree
from tests.machines.bricks import (
    identified,
    identify_anew,
    identity,
    make_again,
    not_healed,
    slow,
    start_anew,
    without_brick,
)
from tests.machines.clusters import Cluster, application, formed
from tests.machines.reader import always_readable

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("bricks") / "project") as made:
        yield made


@pytest.fixture(scope="module")
def addon(cluster: Cluster) -> Iterator[Addon]:
    with application(cluster) as made:
        yield made


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
