"""What `make status` shows a person: nodes, bricks, what is left to heal, and what each environment takes."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from operate import status as module
from operate.nodes import Answer
from operate.status import show, status

pytestmark = pytest.mark.operate


def node(used: int | None, *, pending: int | None = 0, problems: tuple[str, ...] = ()) -> dict[str, Any]:
    bricks = [
        {"node": "storage-1", "online": True, "pendingHeals": 0, "splitBrain": 0},
        {"node": "storage-2", "online": pending is not None, "pendingHeals": pending, "splitBrain": 0},
    ]
    return {
        "healthy": not problems,
        "problems": list(problems),
        "data": {"mounted": True, "totalBytes": 10_000_000_000, "freeBytes": 7_500_000_000},
        "exports": 1,
        "environments": {"shop": {"usageBytes": used}},
        "cluster": {
            "volume": "data",
            "layout": "replicated",
            "quorum": True,
            "bricks": bricks,
            "floatingAddress": {"address": "10.77.0.10", "holder": "storage-1"},
        },
    }


def shown(capsys: pytest.CaptureFixture[str], **nodes: dict[str, Any]) -> list[list[str]]:
    show({"healthy": all(each["healthy"] for each in nodes.values()), "nodes": nodes})
    return [line.replace("│", " ").replace("┃", " ").split() for line in capsys.readouterr().out.splitlines()]


def test_a_whole_cluster_is_shown_with_what_its_environments_take(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, one=node(1_500_000_000), two=node(1_500_000_000))
    assert ["one", "healthy", "10.0", "GB", "7.5", "GB", "1"] in lines
    assert ["storage-2", "online", "0", "0"] in lines
    assert ["shop", "1.5", "GB"] in lines


def test_a_copy_that_is_not_whole_tells_too_little_and_is_not_believed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, one=node(300), two=node(1_500_000_000), three=node(None))
    assert ["shop", "1.5", "GB"] in lines


def test_what_nobody_knows_is_shown_as_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    away = {"healthy": False, "problems": ["storage-2 at 127.0.0.1 is not reachable: refused"]}
    lines = shown(capsys, one=node(None, pending=None, problems=("A brick does not run.",)), two=away)
    assert ["two", "NOT", "HEALTHY", "?", "?", "?"] in lines
    assert ["storage-2", "OFFLINE", "?", "0"] in lines
    assert ["shop", "?"] in lines
    said = [" ".join(words) for words in lines]
    assert "one: A brick does not run." in said
    assert "two: storage-2 at 127.0.0.1 is not reachable: refused" in said


class Fleet:
    """Nodes that answer with what they were given: ``sparing`` to the first question, ``full`` where asked alone."""

    def __init__(self, sparing: Mapping[str, str | None], full: Mapping[str, str]) -> None:
        self.sparing, self.full = sparing, full
        self.asked: list[list[str]] = []

    def answer(self, _: Mapping[str, Any], command: str, names: Collection[str]) -> list[Answer]:
        self.asked.append(sorted(names))
        return [self._one(name, self.sparing[name] if "--sparing" in command else self.full[name]) for name in names]

    def _one(self, name: str, seen_by: str | None) -> Answer:
        if seen_by is None:
            return Answer(name, None, "", f"{name} is not reachable")
        looked = seen_by == name
        view = {"seenBy": seen_by, "bricks": [name] if looked else [], "quorum": looked}
        view |= {"pendingHeals": 7 if looked else None, "splitBrain": 0 if looked else None}
        return Answer(name, 0, json.dumps({"healthy": True, "problems": [], "cluster": view}), "")


@pytest.mark.parametrize(
    ("sparing", "full", "alone", "seen"),
    [
        pytest.param({"a": "a", "b": "a", "c": "a"}, {}, [], {"a": "a", "b": "a", "c": "a"}, id="one looks for all"),
        pytest.param({"a": "a", "b": "b", "c": "b"}, {}, [], {"a": "a", "b": "b", "c": "b"}, id="one is cut off"),
        pytest.param({"a": None, "b": "b", "c": "b"}, {}, [], {"b": "b", "c": "b"}, id="the first is known to be away"),
        pytest.param(
            {"a": None, "b": "a", "c": "a"},
            {"b": "b", "c": "c"},
            ["b", "c"],
            {"b": "b", "c": "c"},
            id="the first is not yet known to be away",
        ),
    ],
)
def test_what_all_see_alike_is_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
    sparing: dict[str, str | None],
    full: dict[str, str],
    alone: list[str],
    seen: dict[str, str],
) -> None:
    fleet = Fleet(sparing, full)
    monkeypatch.setattr(module, "run_on", fleet.answer)
    found = status({"nodes": [{"name": name} for name in sparing]})
    assert fleet.asked == [sorted(sparing), alone]
    assert {name: node["cluster"]["bricks"] for name, node in found["nodes"].items() if "cluster" in node} == {
        name: [looker] for name, looker in seen.items()
    }
    for name, node in found["nodes"].items():
        if name in seen:
            assert (node["cluster"]["quorum"], node["cluster"]["pendingHeals"]) == (True, 7)
    assert found["healthy"] is (None not in sparing.values())


def test_a_node_alone_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: Mapping[str, Any], command: str, names: Collection[str]) -> list[Answer]:
        asked.extend(f"{name}: {command.rpartition('/')[2]}" for name in names)
        return [Answer(name, 0, json.dumps({"healthy": True, "problems": []}), "") for name in names]

    monkeypatch.setattr(module, "run_on", answer)
    assert status({"nodes": [{"name": "storage"}]})["healthy"] is True
    assert asked == ["storage: storage-node status --json --sparing"]
