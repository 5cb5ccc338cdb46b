"""Stands in for a cluster's glusterd: members, a volume over them, and what was asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, ItemsView
from dataclasses import replace
from pathlib import Path

import pytest

from storage_node.cluster import gluster
from storage_node.cluster.gluster import Brick, Heal, Peer, Running, Volume
from storage_node.paths import Paths
from tests.storage_node.nodes import UUIDS

#: A node without a brick of its own.
NODE = Paths(Path("/nonexistent"))


class Glusterd:
    """Stands in for the gluster command: a volume, and what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, present: Volume | None, count: int = 3) -> None:
        self.present, self.changes, self.asked = present, list[tuple[str, ...]](), 0
        # What a member knows otherwise, by its address.
        self.views = dict[str, Volume | None]()
        self.healers = {UUIDS[i]: True for i in range(count)}
        # Each node's NFS server and mount.
        self.clients = {brick.name: Counter({each.address: 2 for each in bricks(count)}) for brick in bricks(count)}
        self.heals = [Heal(f"10.77.0.{11 + i}:/brick/brick-{i}", 0, 0) for i in range(count)]

        def peers(of: str | None = None) -> list[Peer]:
            viewer = of or "10.77.0.11"
            return [Peer(UUIDS[i], gluster.IN_CLUSTER, True) for i in range(count) if viewer != f"10.77.0.{11 + i}"]

        answers: dict[str, Callable[..., object]] = {
            "peers": peers,
            "volume": self.volume,
            "change": self.change,
            "heals": lambda _: self.heals,
            "listed": lambda _: {heal.brick: heal.pending or 0 for heal in self.heals},
            "running": lambda _: Running({brick.name: True for brick in bricks(count)}, self.healers),
            "clients": lambda _: self.clients,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(gluster, name, answer)
        monkeypatch.setattr("time.sleep", lambda _: None)

    def volume(self, _: str, of: str | None = None) -> Volume | None:
        if of is not None:
            return self.views.get(of, self.present)
        self.asked += 1
        return self.present

    def change(self, *words: str) -> None:
        self.changes.append(words)
        if words[1] == "set" and self.present is not None:
            self.present = replace(self.present, options=self.present.options | dict(set_by(words)))

    def said(self, verb: str) -> tuple[str, ...] | None:
        return next((words for words in self.changes if words[1] == verb), None)


def bricks(count: int) -> list[Brick]:
    return [Brick(UUIDS[i], f"10.77.0.{11 + i}", f"/brick/brick-{i}") for i in range(count)]


def there(count: int, layout: str = "replicated", **paths: str) -> Volume:
    found = [Brick(b.member, b.address, paths.get(f"b{i}", b.path)) for i, b in enumerate(bricks(count))]
    return Volume(True, layout, 0, tuple(found), {})


def directories(count: int) -> dict[str, str]:
    return {f"storage-{i + 1}": f"/brick/brick-{i}" for i in range(count)}


def set_by(words: tuple[str, ...]) -> ItemsView[str, str]:
    """The options that a `volume set` sets."""
    assert words[:3] == ("volume", "set", "data")
    return dict(zip(words[3::2], words[4::2], strict=True)).items()
