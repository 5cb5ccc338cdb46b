"""What `make status` shows a person: nodes, bricks, what is left to heal, and what each environment takes."""

from typing import Any

import pytest

from operate.status import show

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
