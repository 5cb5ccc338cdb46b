"""Dispersed volumes on three, five and seven nodes: formed, used, and as many nodes lost as the layout promises."""

import pytest

from plan.layout import REDUNDANCY
from tests.machines.clusters import Writer, application, formed, nothing_is_lost

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster]


@pytest.mark.parametrize("count", [3, 5, 7])
def test_a_dispersed_volume_loses_what_it_promises(tmp_path_factory: pytest.TempPathFactory, count: int) -> None:
    with (
        formed(tmp_path_factory.mktemp("dispersed") / "project", layout="dispersed", nodes=count) as cluster,
        application(cluster) as addon,
    ):
        cluster.whole()
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
