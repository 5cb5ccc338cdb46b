"""A running cluster of three with an application machine, as the figures of its use share it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.qemu.layout import StackDirectory
from demo.addon import Addon
from demo.cluster import Cluster
from demo.machines import application_machines
from demo.shell import Shell
from plan.addon import share
from tests.machines.clusters import whole
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project, operator_shell

#: The application machine's private address.
CLIENT = "10.77.0.101"

_WHOLE_SECONDS = 1800.0


@dataclass(frozen=True)
class Running:
    """The cluster, and the shop's add-on with its repository mounted the preferred way."""

    project: Project
    directory: StackDirectory
    outputs: dict[str, Any]
    addon: Addon

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return [str(node["name"]) for node in self.outputs["nodes"]]

    def node(self, name: str) -> Shell:
        """A root shell on a node; to be opened."""
        return operator_shell(self.outputs, self.names.index(name))

    def faults(self) -> Cluster:
        """The cluster as one whose nodes can be lost."""

        def up() -> None:
            self.project.make("up")

        return Cluster(self.outputs, self.directory, up)

    def await_whole(self) -> None:
        """Returns when every node finds the cluster healthy and healed."""
        whole(self.project, _WHOLE_SECONDS)


@contextmanager
def running(root: Path) -> Iterator[Running]:
    """A cluster as `make up` leaves it; everything of it is gone at the end."""
    project = Project(root, environments=ENVIRONMENTS, protect=False, topology="cluster", sizeGb=10)
    try:
        project.make("up")
        outputs = project.outputs()
        directory = StackDirectory(project.root / ".state" / "local" / project.stack)
        with application_machines(directory, {"shop": CLIENT}, print) as shells:
            addon = Addon(shells["shop"], "shop", share(outputs["addon"], "shop"))
            addon.mount()
            found = Running(project, directory, outputs, addon)
            found.await_whole()
            yield found
    finally:
        project.make("destroy")
