"""What every platform offers: machines that an operator reaches by SSH, each with a data disk of its own."""

from dataclasses import dataclass
from typing import Protocol

import pulumi
from pulumi_command import remote


@dataclass(frozen=True)
class Machine:
    """A machine that exists, or will once the engine has made it.

    resource: what stands for the machine in the state; it vanishes with the machine.
    instance: changes whenever a fresh machine takes this one's place, so that it is configured anew.
    connection: the operator's SSH connection, host key pinned.
    user, private_key: who logs in there, and with which key (a secret).
    address, ssh_port: where that connection goes.
    private_address: where applications and other nodes reach the machine.
    host_key: the machine's SSH host key, one line in authorized_keys form.
    device: the data disk under a name that stays the same across reboots and replacements.
    elevate: what goes before a command that needs root, empty where the user is root.
    """

    name: str
    resource: pulumi.Resource
    instance: pulumi.Output[str]
    connection: remote.ConnectionArgs
    user: str
    private_key: pulumi.Output[str]
    address: pulumi.Output[str]
    ssh_port: pulumi.Output[int]
    private_address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    device: pulumi.Output[str]
    elevate: str = ""


class Platform(Protocol):
    """Where machines come from."""

    @property
    def admin_cidrs(self) -> tuple[str, ...]:
        """Who may reach SSH where the settings leave it open."""
        ...

    @property
    def floating_address(self) -> str | None:
        """An address on the machines' network that any of them may take, None where networks know no such thing."""
        ...

    def preflight(self) -> None:
        """Checks the plan against the platform before any resource is registered.

        Raises plan.problems.SettingsError with all problems at once.
        """
        ...

    def machine(self, name: str, index: int, opts: pulumi.ResourceOptions) -> Machine:
        """Registers the machine ``name``, the ``index``-th of its stack (from 1), with its data disk."""
        ...
