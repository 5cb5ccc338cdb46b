"""Dispersed volumes on three, five and seven nodes: formed, as many lost as the layout promises, one replaced."""

from pathlib import Path

import pytest

from plan.layout import REDUNDANCY
from tests.machines.clusters import Cluster, application, formed, lose_for_good
from tests.machines.writer import Writer, nothing_is_lost

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster, pytest.mark.timeout(7200)]

SUDDEN = Path(__file__).with_name("sudden.py")


def what_was_acknowledged_stays(cluster: Cluster) -> None:
    """A file is as long as it was told to be, though the client that wrote it died soon after."""
    writer, reader = cluster.nodes[:2]
    with cluster.shell(writer) as shell:
        shell.put("/run/sudden.py", SUDDEN.read_text())
        told = shell.attempt("python3 /run/sudden.py /.storage-node/sudden; rm /run/sudden.py")
    assert told.output == "100000\n", told
    place = "/data/.storage-node/sudden"
    assert cluster.must(reader, f"stat -c %s {place} && rm {place}") == told.output


@pytest.mark.parametrize("count", [3, 5, 7])
def test_a_dispersed_volume_loses_what_it_promises(tmp_path_factory: pytest.TempPathFactory, count: int) -> None:
    with (
        formed(tmp_path_factory.mktemp("dispersed") / "project", layout="dispersed", nodes=count) as cluster,
        application(cluster) as addon,
    ):
        cluster.whole()
        what_was_acknowledged_stays(cluster)
        lost = cluster.nodes[: REDUNDANCY[count]]
        with Writer(addon) as writer:
            writer.in_the_middle()
            for node in lost:
                cluster.machine(node).kill()
            writer.gets_on()
            nothing_is_lost(addon, writer)
            cluster.power_on(*lost)
            writer.gets_on()
        assert writer.failed == []
        cluster.whole()
        nothing_is_lost(addon, writer)


def test_a_member_of_a_dispersed_volume_that_is_lost_for_good_is_replaced(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        formed(tmp_path_factory.mktemp("dispersed") / "project", layout="dispersed", nodes=3) as cluster,
        application(cluster) as addon,
    ):
        lost, other = cluster.nodes[0], cluster.nodes[2]
        with Writer(addon) as writer:
            writer.gets_on()
            lose_for_good(cluster.directory, lost)
            writer.gets_on()
            cluster.project.make("replace", NODE=lost)
            writer.gets_on()
        assert writer.failed == []
        # Of three any two have to do: without another one every byte needs what the fresh one has.
        cluster.look()
        cluster.whole()
        cluster.machine(other).kill()
        nothing_is_lost(addon, writer)
        cluster.power_on(other)
        cluster.whole()
