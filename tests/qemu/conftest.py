"""Stack directories for tests, emptied of every process at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from components.qemu import process
from components.qemu.definition import MachineSpec
from components.qemu.layout import StackDirectory

SpecOf = Callable[..., MachineSpec]


@pytest.fixture(scope="session")
def client_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="session")
def host_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="session")
def spec_of(client_key: asyncssh.SSHKey, host_key: asyncssh.SSHKey) -> SpecOf:
    """Machine specifications that differ in what a test says about them."""

    def make(name: str = "storage", private_address: str = "10.77.0.11", **other: object) -> MachineSpec:
        return MachineSpec(
            name=name,
            private_address=private_address,
            authorized_key=client_key.export_public_key().decode(),
            host_public_key=host_key.export_public_key().decode(),
            host_private_key=host_key.export_private_key().decode(),
            **other,  # type: ignore[arg-type]
        )

    return make


def end_all(stack: StackDirectory) -> None:
    """End what runs in a stack's directory, whatever a failed test left there."""
    for machine in (stack.root / "machines").glob("*"):
        if running := process.find(machine, process.QEMU):
            process.end(running)
    if running := process.find(stack.network, process.SWITCH):
        process.end(running)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[StackDirectory]:
    """A stack in a path with spaces that is longer than a socket's path may be."""
    stack = StackDirectory(tmp_path / "a project" / ("deep" * 25) / "dev")
    stack.root.mkdir(parents=True)
    yield stack
    end_all(stack)
