"""A cluster on real machines for a module of tests, and what befalls it."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.qemu import qmp
from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from demo.addon import Addon
from demo.machines import application_machines
from demo.shell import CommandFailedError, Result, Shell
from plan.addon import share
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project, boot_id, operator_shell

#: How long a cluster may take to be whole again, however busy the computer is.
WHOLE_SECONDS = 1500.0

#: By what a machine proves that it is a member, and that it speaks TLS to glusterd.
PROOF = (
    "/etc/ssl/glusterfs.key",
    "/etc/ssl/glusterfs.pem",
    "/etc/ssl/glusterfs.ca",
    "/var/lib/glusterd/secure-access",
)


class Cluster:
    """A running cluster, its machines, and the faults that can be brought upon them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.directory = StackDirectory(project.root / ".state" / "local" / project.stack)
        self.outputs: dict[str, Any] = {}
        self.nodes: list[str] = []
        self.look()

    def look(self) -> None:
        """Takes note of the nodes that there are now."""
        self.outputs = self.project.outputs()
        self.nodes = [str(node["name"]) for node in self.outputs["nodes"]]

    def machine(self, node: str) -> Machine:
        """The node's machine."""
        return Machine(self.directory, node)

    def shell(self, node: str) -> Shell:
        """A root shell on the node; to be opened."""
        return operator_shell(self.outputs, self.nodes.index(node))

    def on(self, node: str, command: str) -> Result:
        """What a command on the node gives, whatever it is."""
        with self.shell(node) as shell:
            return shell.attempt(command)

    def must(self, node: str, command: str) -> str:
        """What a command on the node prints, which has to succeed."""
        with self.shell(node) as shell:
            return shell.run(command)

    def boot(self, node: str) -> str:
        """Which boot of its machine the node is in."""
        with self.shell(node) as shell:
            return boot_id(shell)

    def holder(self) -> str:
        """The node that has the floating address."""
        for node in self.nodes:
            if "10.77.0.10/" in self.must(node, "ip -brief address"):
                return node
        raise AssertionError("No node has the floating address.")

    def power_on(self, *nodes: str) -> None:
        """What somebody does who presses the buttons; returns when SSH answers on all of them."""
        keys = {str(node["name"]): str(node["hostKey"]) for node in self.outputs["nodes"]}
        for node in nodes:
            self.machine(node).start()
        for node in nodes:
            self.machine(node).wait(keys[node])

    def differences(self, environment: str) -> dict[str, list[str]]:
        """Which names of a repository a brick lacks that another has, or has otherwise; for a replicated volume.

        An application reads a directory from one brick only, so a name that one lacks is a backup that may be missed.
        """
        kinds = "-type d -printf '%P/ %U %G %m\\n' -o -type f -printf '%P %s %U %G %m\\n'"
        line = f"cd /brick/brick-*/ && find {environment} {kinds}"
        found = {node: set(self.must(node, line).splitlines()) for node in self.nodes}
        everything = set[str]().union(*found.values())
        return {node: sorted(everything - there) for node, there in found.items() if there != everything}

    @contextmanager
    def network_cut(self, node: str) -> Iterator[None]:
        """The node's cable to the others is out for as long as the block lasts; its operator still gets in."""
        place = self.machine(node).directory
        qmp.execute(place, "set_link", name="storage", up=False)
        try:
            yield
        finally:
            qmp.execute(place, "set_link", name="storage", up=True)

    def knows_of_no_majority(self, node: str, seconds: float = 300.0) -> None:
        """Returns when this node's own status says that it is without a majority, and that no node serves."""
        deadline = time.monotonic() + seconds
        while True:
            known = self.project.status()["nodes"][node]
            view = known.get("cluster")
            if view and view["quorum"] is False and view["floatingAddress"]["holder"] is None:
                return
            assert time.monotonic() < deadline, json.dumps(known, indent=1)
            time.sleep(2)

    def whole(self) -> dict[str, Any]:
        """The state of the cluster once every node finds it healthy and healed."""
        known = whole(self.project)
        assert len(known["nodes"]) == len(self.nodes)
        return known


def whole(project: Project, seconds: float = WHOLE_SECONDS) -> dict[str, Any]:
    """The state of a project's cluster once every node finds it healthy and healed."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        known = project.status()
        if known["healthy"]:
            views = [node["cluster"] for node in known["nodes"].values()]
            assert [(view["pendingHeals"], view["splitBrain"]) for view in views] == [(0, 0)] * len(views)
            return known
        now = time.monotonic()
        assert now < deadline, json.dumps(known["nodes"], indent=1)
        # Asking slows the healing down, and that of seven emulated nodes takes a minute.
        time.sleep(max(10.0, now - began))


@contextmanager
def let_in(nodes: Sequence[Shell], address: str) -> Iterator[None]:
    """The firewalls of these nodes take the address for a member's, for as long as the block lasts."""
    for node in nodes:
        node.run(f"nft add element inet backup_storage members_v4 '{{ {address} }}'")
    try:
        yield
    finally:
        for node in nodes:
            node.run(f"nft delete element inet backup_storage members_v4 '{{ {address} }}'")


@contextmanager
def proven(machine: Shell, member: Shell) -> Iterator[None]:
    """The machine has what a member proves itself by, for as long as the block lasts."""
    try:
        for path in PROOF:
            machine.put(path, member.run(f"cat {path}"))
        yield
    finally:
        machine.run(f"rm -f {' '.join(PROOF)}")


def lose_for_good(place: StackDirectory, node: str) -> None:
    """The node's machine and its disk are gone, and nothing of them comes back."""
    machine = Machine(place, node)
    machine.kill()
    shutil.rmtree(machine.directory)
    place.disk(f"{node}-data").unlink()


@contextmanager
def formed(root: Path, **settings: Any) -> Iterator[Cluster]:
    """A cluster as `make up` leaves it, and everything of it gone at the end."""
    values = {"environments": ENVIRONMENTS, "protect": False, "topology": "cluster", "sizeGb": 5, **settings}
    project = Project(root, **values)
    try:
        project.make("up")
        yield Cluster(project)
    finally:
        project.make("destroy")
        assert project.processes() == []


@contextmanager
def application(cluster: Cluster) -> Iterator[Addon]:
    """The shop's add-on on a machine of its own, with its repository mounted by the preferred way."""
    with application_machines(cluster.directory, {"shop": "10.77.0.101"}, lambda _: None) as shells:
        addon = Addon(shells["shop"], "shop", share(cluster.outputs["addon"], "shop"))
        addon.mount()
        yield addon


def writes_are_refused(cluster: Cluster, node: str) -> None:
    """A write into /data on this node ends with an error, instead of being taken or waiting for good."""
    deadline = time.monotonic() + 120
    while True:
        tried = cluster.on(node, "timeout -s KILL 60 sh -c 'echo no >/data/.storage-node/refused'")
        if tried.status not in (0, 137):
            return
        if time.monotonic() > deadline:
            raise CommandFailedError(f"{node}: a write without a majority ended with {tried.status}.")
        time.sleep(1)
