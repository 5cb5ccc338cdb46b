"""A brick is reached at the ports that it had before, and no other port is touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from storage_node import system
from storage_node.cluster import ports
from storage_node.errors import NodeError
from storage_node.paths import Paths

pytestmark = pytest.mark.cluster


class Loaded:
    """The rules that the kernel would have been given, and the processes of bricks."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.rules: list[str] = []
        self.refuses = False

    def must(self, words: Sequence[str], what: str) -> str:
        if self.refuses:
            raise NodeError(f"{what} failed.")
        assert words[0] == "nft"
        self.rules.append(words[1])
        return ""

    def brick(self, pid: int, port: int) -> int:
        place = self.paths.at(f"/proc/{pid}")
        place.mkdir(parents=True)
        (place / "cmdline").write_text(f"/usr/sbin/glusterfsd\0--process-name\0brick\0--brick-port\0{port}\0")
        return pid

    def led(self) -> list[tuple[str, str]]:
        """Which ports lead to which, by the last rules: once for others' connections, once for the node's own."""
        return re.findall(r"tcp dport { ([0-9, ]+) } redirect to :(\d+)", self.rules[-1])


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    found = Loaded(tmp_path)
    monkeypatch.setattr(system, "must", found.must)
    return found


def test_a_brick_that_keeps_its_port_needs_no_rules(loaded: Loaded) -> None:
    keeper = ports.Keeper(loaded.paths)
    first = loaded.brick(1, 49184)
    keeper.look(first)
    keeper.look(first)
    keeper.look(None)
    keeper.look(loaded.brick(2, 49184))
    assert loaded.rules == []


def test_each_former_port_leads_to_the_present_one(loaded: Loaded) -> None:
    keeper = ports.Keeper(loaded.paths)
    for pid, port in enumerate((49214, 49184, 49152)):
        keeper.look(loaded.brick(pid, port))
        keeper.look(pid)
    assert len(loaded.rules) == 2
    assert loaded.led() == [("49214, 49184", "49152")] * 2
    # Back at one that it had: that one must not lead anywhere.
    keeper.look(loaded.brick(9, 49184))
    assert loaded.led() == [("49214, 49152", "49184")] * 2


def test_a_brick_that_has_ended_is_passed_over(loaded: Loaded) -> None:
    keeper = ports.Keeper(loaded.paths)
    keeper.look(loaded.brick(1, 49214))
    keeper.look(77)
    keeper.look(loaded.brick(2, 49184))
    assert loaded.led() == [("49214", "49184")] * 2


def test_rules_that_are_refused_are_tried_again(loaded: Loaded) -> None:
    keeper = ports.Keeper(loaded.paths)
    keeper.look(loaded.brick(1, 49214))
    loaded.refuses = True
    second = loaded.brick(2, 49184)
    with pytest.raises(NodeError, match="Leading the brick's former ports to its new one failed"):
        keeper.look(second)
    loaded.refuses = False
    keeper.look(second)
    assert loaded.led() == [("49214", "49184")] * 2
