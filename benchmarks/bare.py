"""Booted machines with an empty data disk and nothing else on them, for a measurement."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from components.qemu import disk, network
from components.qemu.layout import StackDirectory
from demo.machines import application_machines
from demo.shell import Shell

_SIZE_GB = 10


def address_of(number: int) -> str:
    """The private address of the machine that is named so many places after the first."""
    return f"10.77.0.{20 + number}"


@contextmanager
def bare_machines(stack: StackDirectory, names: Sequence[str]) -> Iterator[list[Shell]]:
    """Machines of these names, each with the data disk ``<name>-data``; both are gone after the block."""
    disks = {name: f"{name}-data" for name in names}
    for name in disks.values():
        disk.create(stack, name, _SIZE_GB)
    addresses = {name: address_of(number) for number, name in enumerate(names)}
    try:
        with application_machines(stack, addresses, print, disks=disks) as shells:
            yield [shells[name] for name in names]
    finally:
        for name in disks.values():
            disk.delete(stack, name)
        network.stop(stack.network)
