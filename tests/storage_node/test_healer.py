"""Of a dispersed volume one member's self-heal daemon runs, and the members agree whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage_node import system
from storage_node.cluster import healer
from storage_node.paths import Paths
from tests.storage_node import nodes

pytestmark = pytest.mark.cluster


def heals(
    monkeypatch: pytest.MonkeyPatch, root: Path, name: str, *seen: int, count: int = 7, layout: str = "dispersed"
) -> bool:
    """Whether the daemon of the member of that name runs, which is connected to the members with those numbers."""
    known = nodes.cluster(count, layout=layout)
    nodes.store_member(Paths(root), name, known)
    # As ss(8) prints them; there may be several to one member.
    lines = [f"0 0 10.77.0.{10 + int(name[-1])}:4900{n} {known.members[n - 1].address}:24007" for n in seen]
    monkeypatch.setattr(system, "must", lambda *_: "".join(f"{line} \n" for line in lines * 2))
    return healer.runs_here(Paths(root))


def test_the_last_member_that_is_there_heals_a_dispersed_volume(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert heals(monkeypatch, tmp_path, "storage-7", 1, 2, 3, 4, 5, 6)
    assert not heals(monkeypatch, tmp_path, "storage-6", 1, 2, 3, 4, 5, 7)
    assert heals(monkeypatch, tmp_path, "storage-6", 1, 2, 3, 4, 5)
    assert not heals(monkeypatch, tmp_path, "storage-1", 2)
    # Alone it may think that it is the last; it sees too few bricks to heal anything.
    assert heals(monkeypatch, tmp_path, "storage-1")


def test_every_member_heals_a_replicated_volume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert heals(monkeypatch, tmp_path, "storage-1", 2, 3, count=3, layout="replicated")
