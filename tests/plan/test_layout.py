"""Where the data lies: what a cluster survives, and which changes of it are possible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.layout import Layout, Nodes, Shape, refused_change, shape_from, values_of
from plan.problems import SettingsError
from plan.settings import load

pytestmark = [pytest.mark.plan, pytest.mark.cluster]

SIZES: tuple[Nodes, ...] = (3, 5, 7)
LAYOUTS: tuple[Layout, ...] = ("replicated", "dispersed")

shapes = st.builds(
    Shape.of, st.sampled_from(["standalone", "cluster"]), st.sampled_from(SIZES), st.sampled_from(LAYOUTS)
)


@pytest.mark.parametrize("nodes", SIZES)
def test_a_cluster_loses_less_than_half_of_its_nodes(nodes: Nodes) -> None:
    losable = Shape.of("cluster", nodes, "replicated").losable
    assert losable == Shape.of("cluster", nodes, "dispersed").losable
    assert nodes - losable > nodes / 2 > losable


@given(shapes)
def test_what_does_not_change_is_never_refused(shape: Shape) -> None:
    assert refused_change(shape, shape) == []
    assert shape_from(values_of(shape)) == shape


@given(shapes, shapes)
def test_only_a_replicated_cluster_that_grows_changes_in_place(old: Shape, new: Shape) -> None:
    grows = old.topology == new.topology == "cluster" and old.layout == new.layout == "replicated"
    # While those that come are filled, those that were there decide: a majority of all.
    possible = old == new or (grows and old.nodes <= new.nodes < 2 * old.nodes)
    assert (refused_change(old, new) == []) is possible


def test_a_refusal_says_what_was_what_cannot_be_and_what_to_do() -> None:
    (text,) = refused_change(Shape("cluster", 5, "replicated"), Shape("cluster", 3, "replicated"))
    assert "nodes was 5 and cannot become 3" in text
    assert "make a new stack, copy the repositories with `restic copy`" in text


def test_a_growth_by_too_many_at_once_is_told_the_way() -> None:
    (text,) = refused_change(Shape("cluster", 3, "replicated"), Shape("cluster", 7, "replicated"))
    assert "nodes was 3 and cannot become 7 at once" in text
    assert "set 5, run `pulumi up`, then 7" in text


def test_a_standalone_storage_has_one_node_whatever_is_set_for_clusters() -> None:
    assert load({"nodes": 7}).shape == Shape("standalone", 1, None)


def test_a_cluster_of_another_size_or_with_little_memory_is_refused() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"topology": "cluster", "nodes": 4, "memoryMb": 768})
    assert "backup-storage:nodes is 4; it must be 3, 5 or 7." in str(refused.value)
    assert "backup-storage:memoryMb is 768; a cluster's nodes need 1024 or more." in str(refused.value)
