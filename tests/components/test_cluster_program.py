"""The resource graph of a cluster: what waits for what."""

import json

import pytest

from tests.components.recorder import Graph, plain, run_program

pytestmark = [pytest.mark.components, pytest.mark.cluster]

ENVIRONMENTS = {"shop": {"clients": ["10.77.0.101"]}}


def graph(nodes: int) -> Graph:
    return run_program({"environments": ENVIRONMENTS, "topology": "cluster", "nodes": nodes, "protect": False})


def test_nodes_that_may_have_been_added_begin_after_those_that_were_there() -> None:
    """Or the old members and the new ones could each find a majority for the floating address."""
    known = graph(7)
    before = {
        index: {
            int(name.rpartition("-")[2])
            for name in known.options[f"environments-storage-{index}"].depends_on
            if name.startswith("environments-storage-")
        }
        for index in range(1, 8)
    }
    founders, second = {1, 2, 3}, {1, 2, 3, 4, 5}
    assert before == {1: set(), 2: set(), 3: set(), 4: founders, 5: founders, 6: second, 7: second}


def test_nodes_that_stay_are_told_of_further_ones_after_the_volume_is_whole() -> None:
    small, grown = graph(3), graph(5)
    step = "environments-storage-1"
    told = [json.loads(plain(each.resources[step].inputs["stdin"])) for each in (small, grown)]
    assert told[0] != told[1]
    assert told[0]["environments"] == told[1]["environments"]
    assert "cluster-volume" in grown.options[step].depends_on
