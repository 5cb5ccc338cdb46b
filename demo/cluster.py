"""A local cluster seen from outside: which node serves, and how one is lost and comes back."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from demo.shell import Shell

_STATUS = "/usr/local/sbin/storage-node status --json"


class Cluster:
    """The nodes of a running cluster. ``up`` starts what is off."""

    def __init__(self, outputs: Mapping[str, Any], directory: StackDirectory, up: Callable[[], None]) -> None:
        self._outputs, self._directory, self._up = outputs, directory, up
        self._lost: str | None = None

    def status(self) -> dict[str, Any]:
        """The cluster as the first node that is on sees it."""
        key = self._outputs["operator"]["privateKey"]
        facts = next(node for node in self._outputs["nodes"] if node["name"] != self._lost)
        with Shell(facts["name"], facts["address"], facts["sshPort"], facts["hostKey"], key) as shell:
            return dict(json.loads(shell.attempt(_STATUS).output)["cluster"])

    def lose_holder(self) -> str:
        """Cuts the power of the node that has the floating address; gives its name."""
        holder = self.status()["floatingAddress"]["holder"]
        if holder is None:
            raise AssertionError("No node has the floating address, so none can be lost while it serves.")
        self.lose(holder)
        return str(holder)

    def lose(self, node: str) -> None:
        """Cuts a node's power."""
        Machine(self._directory, node).kill()
        self._lost = node

    def bring_back(self) -> None:
        """Has the node that was lost started again."""
        self._up()
        self._lost = None

    def pending_heals(self) -> int | None:
        """How much is left to heal; None while a brick is away."""
        bricks = self.status()["bricks"]
        if not bricks or any(brick["pendingHeals"] is None for brick in bricks):
            return None
        return int(sum(brick["pendingHeals"] for brick in bricks))
