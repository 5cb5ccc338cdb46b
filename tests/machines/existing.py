"""Machines that exist before any stack does, and stacks that are to be on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from components.qemu import disk, network
from components.qemu.layout import StackDirectory
from demo.machines import application_machines
from demo.shell import Shell
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project

#: SSH reaches the machines from here (QEMU's user-mode network), so this is who has to be let in.
OPERATOR = "10.0.2.2"

#: May use sudo, and may not.
ADMIN, GUEST = "admin", "guest"


@dataclass(frozen=True)
class Existing:
    """The machines as whoever installed them knows them: a root shell on each, and what to write into the settings.

    key: the operator's private key, which all users of the machines let in.
    """

    directory: StackDirectory
    roots: tuple[Shell, ...]
    hosts: tuple[dict[str, Any], ...]
    key: asyncssh.SSHKey

    @property
    def root(self) -> Shell:
        """A root shell on the first."""
        return self.roots[0]

    @property
    def host(self) -> dict[str, Any]:
        """The settings of the first."""
        return self.hosts[0]

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """The first machine while it lacks a file."""
        self.root.run(f"mv {path} {path}.away")
        try:
            yield
        finally:
            self.root.run(f"mv {path}.away {path}")


@contextmanager
def machines(root: Path, *addresses: str) -> Iterator[Existing]:
    """For the length of a `with`: a machine at each private address, with a blank disk, users, the operator's key."""
    directory = StackDirectory(root)
    key = asyncssh.generate_private_key("ssh-ed25519")
    places = {f"host-{number}": address for number, address in enumerate(addresses, 1)}
    blank = {name: f"{name}-blank" for name in places}
    for name in blank.values():
        disk.create(directory, name, 10)
    try:
        with application_machines(directory, places, print, blank) as shells:
            hosts = tuple(
                {**_prepared(shells[name], key), "privateAddress": place, "device": disk.device_of(blank[name])}
                for name, place in places.items()
            )
            yield Existing(directory, tuple(shells.values()), hosts, key)
    finally:
        network.stop(directory.network)


def _prepared(root: Shell, key: asyncssh.SSHKey) -> dict[str, Any]:
    """Makes the users, and gives how the machine is reached."""
    public = key.export_public_key().decode()
    root.run("cat >>/root/.ssh/authorized_keys", stdin=public)
    for user in (ADMIN, GUEST):
        root.run(
            f"useradd -m -s /bin/bash {user} && install -d -m 700 -o {user} /home/{user}/.ssh && "
            f"cat >/home/{user}/.ssh/authorized_keys",
            stdin=public,
        )
    root.put(f"/etc/sudoers.d/{ADMIN}", f"{ADMIN} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    address, port, host_key = root.way[:3]
    return {"address": address, "port": port, "hostKey": host_key, "user": ADMIN}


def project_on(existing: Existing, root: Path, **settings: Any) -> Project:
    """A checkout whose stack is to be on the machines, with the operator's key as a secret of the stack."""
    usual = {"platform": "hosts", "adminCidrs": [OPERATOR], "protect": False, "environments": ENVIRONMENTS, **settings}
    project = Project(root, hosts=list(existing.hosts), **usual)
    project.make("stack")
    file = root.with_name("operator-key")
    file.write_bytes(existing.key.export_private_key())
    project.shell(f"pulumi config set --stack test --secret backup-storage:sshPrivateKey <'{file}'")
    file.unlink()
    kept = yaml.safe_load((root / "Pulumi.test.yaml").read_text(encoding="utf-8"))
    project.usual["sshPrivateKey"] = kept["config"]["backup-storage:sshPrivateKey"]
    return project
