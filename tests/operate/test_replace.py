"""A node is replaced only while the cluster can do without it."""

from itertools import pairwise
from typing import Any

import pytest

from operate import replace
from operate.replace import unbearable

pytestmark = pytest.mark.operate


def view(pending: int | None = 0, split: int = 0, **online: bool) -> dict[str, Any]:
    bricks = [{"node": f"storage-{i}", "online": online.get(f"b{i}", True)} for i in (1, 2, 3)]
    return {"healthy": True, "cluster": {"bricks": bricks, "pendingHeals": pending, "splitBrain": split}}


def nodes(said: dict[str, Any], **unreachable: bool) -> dict[str, Any]:
    return {f"storage-{i}": {"healthy": False} if unreachable.get(f"n{i}") else said for i in (1, 2, 3)}


def test_a_node_of_a_whole_cluster_may_be_replaced() -> None:
    assert unbearable(nodes(view()), "storage-1") == []


def test_a_dead_node_may_be_replaced_while_others_hold_what_it_lacks() -> None:
    assert unbearable(nodes(view(pending=40, b1=False), n1=True), "storage-1") == []


def test_a_node_that_runs_is_not_replaced_while_entries_are_healed() -> None:
    (problem,) = unbearable(nodes(view(pending=40)), "storage-2")
    assert problem.startswith("40 entries are still being healed")


def test_a_node_that_runs_is_not_replaced_while_nobody_knows_what_is_left_to_heal() -> None:
    (problem,) = unbearable(nodes(view(pending=None)), "storage-2")
    assert problem.startswith("How much is still being healed cannot be told now")


def test_no_second_node_is_taken_away() -> None:
    (problem,) = unbearable(nodes(view(b1=False), n1=True), "storage-2")
    assert problem == "storage-1 cannot be asked; bring the other nodes back first."
    (problem,) = unbearable(nodes(view(b3=False)), "storage-2")
    assert problem == "The brick of storage-3 does not run; bring it back first."


def test_copies_that_contradict_each_other_stop_a_replacement() -> None:
    (problem,) = unbearable(nodes(view(split=2)), "storage-2")
    assert problem.startswith("2 entries are in split brain")


def test_a_cluster_that_just_lost_a_node_is_asked_until_it_knows_its_bricks(monkeypatch: pytest.MonkeyPatch) -> None:
    unsure = {"problems": ["glusterd gave no answer."], "cluster": {**view()["cluster"], "bricks": []}}
    answers = [nodes(unsure, n1=True), nodes(unsure, n1=True), nodes(view(b1=False), n1=True)]
    asked = iter(answers)
    monkeypatch.setattr(replace, "status", lambda _: {"nodes": next(asked)})
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert replace._asked({}, "storage-1") == answers[2]
    monkeypatch.setattr(replace, "ANSWER_SECONDS", -1.0)
    asked = iter(answers)
    (problem,) = unbearable(replace._asked({}, "storage-1"), "storage-1")
    assert problem == "No other node can tell which bricks run: glusterd gave no answer."


def test_one_machine_is_replaced_and_all_nodes_get_the_program_that_follows_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urns = {f"urn:pulumi:test::{name}": name for i in (1, 2, 3) for name in (f"storage-{i}", f"storage-{i}-program")}
    driven: list[tuple[str, ...]] = []
    known = {"topology": "cluster", "nodes": [{"name": f"storage-{i}"} for i in (1, 2, 3)]}
    monkeypatch.setattr(replace, "outputs", lambda _: known)
    monkeypatch.setattr(replace, "status", lambda _: {"nodes": nodes(view())})
    monkeypatch.setattr(replace, "resources", lambda _: [{"urn": urn, "custom": True} for urn in urns])
    monkeypatch.setattr(replace, "drive", lambda *words, failed: driven.append(words))
    replace.replace("test", "storage-2")
    refreshed, (*up, replacing, machine) = driven
    assert refreshed[-2:] == ("--target", "urn:pulumi:test::storage-2")
    assert (replacing, urns[machine]) == ("--replace", "storage-2")
    targeted = [urns[word] for before, word in pairwise(up) if before == "--target"]
    assert targeted == ["storage-2", *(f"storage-{i}-program" for i in (1, 2, 3))]
    assert up[-1] == "--target-dependents"
