"""Application machines beside a local stack: real virtual machines on the stack's network, gone when the demo ends."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import asyncssh

from components.qemu import image
from components.qemu.definition import MachineSpec
from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from demo.shell import Shell

Progress = Callable[[str], None]


@contextmanager
def application_machines(
    directory: StackDirectory, addresses: Mapping[str, str], progress: Progress, disks: Mapping[str, str] | None = None
) -> Iterator[dict[str, Shell]]:
    """Starts a machine for each name at its private address, side by side; gives a root shell on each.

    ``disks`` names an existing data disk for those machines that get one.

    Whatever happens in the block, the machines are deleted at its end. Keys live in this process alone.
    """
    key = asyncssh.generate_private_key("ssh-ed25519")
    machines = {name: Machine(directory, name) for name in addresses}
    attached = {name: (disks[name],) if disks else () for name in addresses}
    try:
        with ThreadPoolExecutor(max_workers=len(machines)) as pool:
            started = pool.map(
                lambda name: _start(machines[name], addresses[name], attached[name], key, progress), machines
            )
            shells = dict(zip(machines, started, strict=True))
        with ExitStack() as opened:
            yield {name: opened.enter_context(shell) for name, shell in shells.items()}
    finally:
        for machine in machines.values():
            machine.delete()


def _start(machine: Machine, address: str, disks: tuple[str, ...], key: asyncssh.SSHKey, progress: Progress) -> Shell:
    """A fresh machine, up and reachable by SSH."""
    machine.delete()
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    host_public = host_key.export_public_key().decode().strip()
    spec = MachineSpec(
        name=machine.name,
        private_address=address,
        authorized_key=key.export_public_key().decode().strip(),
        host_public_key=host_public,
        host_private_key=host_key.export_private_key().decode(),
        disks=disks,
    )
    definition = machine.define(spec, image.ensure(progress))
    machine.start()
    machine.wait(host_public, lambda text: progress(f"{machine.name}: {text}"))
    return Shell(machine.name, definition.address, definition.ssh_port, host_public, key.export_private_key().decode())
