"""A cluster of three real machines, end to end: formed, used, one node lost, one replaced for good."""

from collections.abc import Iterator

import jsonschema
import pytest

from components.qemu.layout import StackDirectory
from demo.addon import Addon
from demo.cluster import Cluster
from demo.machines import application_machines
from demo.tree import Tree
from plan.addon import share
from tests.machines.clusters import lose_for_good, whole
from tests.machines.conftest import ENVIRONMENTS
from tests.plan.test_addon import SCHEMA
from tests.project import Project, connections

pytestmark = [pytest.mark.machine, pytest.mark.cluster]

NODES = ("storage-1", "storage-2", "storage-3")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A cluster of three as `make up` leaves it."""
    root = tmp_path_factory.mktemp("cluster") / "project"
    project = Project(root, environments=ENVIRONMENTS, protect=False, topology="cluster", sizeGb=5)
    try:
        project.make("up")
        yield project
    finally:
        project.make("destroy")
        assert project.processes() == []


def directory(project: Project) -> StackDirectory:
    return StackDirectory(project.root / ".state" / "local" / project.stack)


def catalogue(project: Project, node: int) -> str:
    """All that the catalogue says on a node: which environments and backups there are."""
    with project.operator(node) as operator:
        return operator.run("/root/getBackups.sh && /root/getBackups.sh shop && /root/getBackupsAllEnvs.sh")


def test_the_cluster_is_whole_and_says_so_on_every_node(cluster: Project) -> None:
    known = whole(cluster)
    assert sorted(known["nodes"]) == list(NODES)
    holders = set()
    for node in known["nodes"].values():
        view = node["cluster"]
        assert view["quorum"] is True
        assert [brick["online"] for brick in view["bricks"]] == [True] * 3
        assert (view["pendingHeals"], view["splitBrain"]) == (0, 0)
        holders.add(view["floatingAddress"]["holder"])
    assert len(holders) == 1
    assert holders < set(NODES)


def test_every_brick_writes_names_before_it_acknowledges_them(cluster: Project) -> None:
    for number in range(3):
        with cluster.operator(number) as operator:
            assert "wsync" in operator.run("findmnt -n -o OPTIONS /brick").split(",")


def test_no_server_of_the_volume_sends_session_tickets(cluster: Project) -> None:
    """GlusterFS's clients lose what they write while they take one up; see storage_node/cluster/glusterd.py."""
    proof = "-cert /etc/ssl/glusterfs.pem -key /etc/ssl/glusterfs.key -CAfile /etc/ssl/glusterfs.ca"
    with cluster.operator(0) as operator:
        bricks = "ss --no-header --tcp --listening --numeric --processes | grep '\"glusterfsd\"' | awk '{print $4}'"
        ports = [line.rpartition(":")[2] for line in operator.run(bricks).split()]
        assert ports
        for port in ("24007", *ports):
            # What it is sent is no request, so it ends the connection, and a ticket would have come by then.
            line = f"echo nothing | openssl s_client -ign_eof -connect 10.77.0.11:{port} {proof} 2>&1"
            said = operator.attempt(line).output
            assert "Verify return code: 0" in said
            assert "Session Ticket arrived" not in said


def test_the_first_mount_of_an_environment_moves_and_the_others_are_the_nodes(cluster: Project) -> None:
    known = cluster.outputs()
    jsonschema.validate(known["addon"], SCHEMA)
    assert known["topology"] == "cluster"
    sources = [mount["source"] for mount in known["addon"]["environments"]["shop"]["mounts"]]
    assert sources == [f"10.77.0.{number}:/data/shop" for number in (10, 11, 12, 13)]


def test_exactly_one_node_has_the_floating_address(cluster: Project) -> None:
    found = []
    for number in range(3):
        with cluster.operator(number) as operator:
            found.append("10.77.0.10/" in operator.run("ip -brief address"))
    assert found.count(True) == 1


def test_each_start_of_an_nfs_server_has_a_number_of_its_own(cluster: Project) -> None:
    """By it a client knows that what it wrote has to be sent again, so the second of the start is not enough."""
    told, taken = [], []
    for number in range(3):
        with cluster.operator(number) as operator:
            line = operator.run("tr '\\0' '\\n' </proc/$(cat /run/ganesha/pid)/cmdline | grep --after-context=1 '^-E$'")
            told.append(int(line.split()[-1]))
            log = operator.run("grep -o 'epoch [0-9a-f]*' /var/log/ganesha/ganesha.log | tail -n 1")
            taken.append(int(log.split()[-1], 16))
    assert taken == told
    assert len(set(taken)) == 3


def test_a_second_up_of_a_cluster_connects_to_nothing(cluster: Project) -> None:
    with cluster.operator(2) as operator:
        before = connections(operator)
        assert "unchanged" in cluster.make("up").stdout
        assert connections(operator) == before


def test_changes_that_cannot_be_made_in_place_are_refused_at_preview(cluster: Project) -> None:
    for change, words in (
        ({"topology": "standalone"}, "topology was cluster and cannot become standalone in place"),
        ({"layout": "dispersed"}, "layout was replicated and cannot become dispersed in place"),
        ({"nodes": 7}, "nodes was 3 and cannot become 7 at once"),
    ):
        cluster.configure(**change)
        refused = cluster.make("preview", check=False)
        assert refused.returncode != 0
        assert words in refused.stdout
    cluster.configure()


def test_the_addons_whole_flow_holds_with_the_serving_node_lost(cluster: Project) -> None:
    said = cluster.make("demo").stdout
    assert said.rstrip().endswith("Everything held.")
    assert "the backup completed, every byte checked without it and after it was healed" in said


def test_a_node_that_is_lost_for_good_is_replaced_by_one_command(cluster: Project) -> None:
    place, known = directory(cluster), cluster.outputs()
    with application_machines(place, {"shop": "10.77.0.101"}, lambda _: None) as shells:
        addon = Addon(shells["shop"], "shop", share(known["addon"], "shop"))
        addon.mount()
        tree = Tree(shells["shop"], "/srv/site", 7)
        tree.make()
        addon.backup(tree.path, "2026-04-01_020000_UTC", "auto")
        answers = [catalogue(cluster, node) for node in range(3)]
        assert '"2026-04-01_020000_UTC"' in answers[0]
        assert answers == answers[:1] * 3
        # The first, which also ran the volume's step: nothing may depend on it.
        lose_for_good(place, "storage-1")
        addon.backup(tree.path, "2026-04-01_030000_UTC", "auto")
        refused = cluster.make("replace", NODE="storage-2", check=False)
        assert refused.returncode != 0
        assert "storage-1 cannot be asked; bring the other nodes back first." in refused.stdout
        cluster.make("replace", NODE="storage-1")
        state = whole(cluster)["nodes"]["storage-1"]["cluster"]
        assert (state["pendingHeals"], state["splitBrain"]) == (0, 0)
        # With one of the older copies cut off, the fresh one has to carry its part.
        around = Cluster(cluster.outputs(), place, lambda: None)
        around.lose("storage-2")
        addon.check(read_data=True)
        names = {str(entry["tags"][0]).split()[0] for entry in addon.snapshots()}
        assert {"2026-04-01_020000_UTC", "2026-04-01_030000_UTC"} <= names
    cluster.make("refresh")
    cluster.make("up")
    whole(cluster)
