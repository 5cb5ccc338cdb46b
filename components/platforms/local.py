"""The local platform: real virtual machines on this computer, on a network of the stack's own."""

from pathlib import Path

import pulumi
import pulumi_tls as tls

from components import remote
from components.platforms.base import Machine
from components.qemu.resources import Disk, Network
from components.qemu.resources import Machine as VirtualMachine
from plan.problems import SettingsError
from plan.settings import Settings

#: Storage nodes are .11 and up, and .10 is the address that moves between a cluster's; .1 to .9 stay free, and
#: applications take .101 and up by the examples.
_FIRST_NODE = 10

#: SSH from this computer reaches a machine through QEMU's user-mode network, whose gateway this is.
_OPERATOR = "10.0.2.2"


class LocalPlatform:
    """Machines on this computer. Everything of a stack lies in ``.state/local/<stack>`` of the project."""

    admin_cidrs = (_OPERATOR,)
    floating_address = f"10.77.0.{_FIRST_NODE}"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = f".state/local/{pulumi.get_stack()}"
        self._shared: tuple[tls.PrivateKey, Network] | None = None

    def preflight(self) -> None:
        """Finds what would keep the machines from starting. Raises SettingsError."""
        if not Path("/usr/bin/qemu-system-x86_64").exists():
            raise SettingsError(["QEMU is not installed on this computer; run `make setup`, which installs it."])

    def machine(self, name: str, index: int, opts: pulumi.ResourceOptions) -> Machine:
        """A virtual machine with a data disk that outlives it."""
        login, network = self._network_and_login()
        kept = pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(protect=self._settings.protect, retain_on_delete=self._settings.protect),
        )
        host_key = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=opts)
        disk = Disk(f"{name}-data", self._root, self._settings.size_gb, kept)
        machine = VirtualMachine(
            name,
            root=self._root,
            private_address=f"10.77.0.{_FIRST_NODE + index}",
            authorized_key=login.public_key_openssh.apply(str.strip),
            host_private_key=host_key.private_key_openssh,
            host_public_key=host_key.public_key_openssh.apply(str.strip),
            disks=[disk],
            cpus=self._settings.cpus,
            memory_mb=self._settings.memory_mb,
            shared_addresses=[self.floating_address] if self._settings.topology == "cluster" else [],
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[network])),
        )
        public = host_key.public_key_openssh.apply(str.strip)
        return Machine(
            name=name,
            resource=machine,
            instance=pulumi.Output.format("{0}/{1}", machine.instance, disk.instance),
            connection=remote.connection(
                host=machine.address,
                port=machine.ssh_port,
                user="root",
                private_key=login.private_key_openssh,
                host_key=public,
            ),
            user="root",
            private_key=login.private_key_openssh,
            address=machine.address,
            ssh_port=machine.ssh_port.apply(int),
            private_address=machine.private_address,
            host_key=public,
            device=disk.device,
        )

    def _network_and_login(self) -> tuple[tls.PrivateKey, Network]:
        """What all machines of the stack share, registered when the first of them is."""
        if self._shared is None:
            self._shared = tls.PrivateKey("login", algorithm="ED25519"), Network("network", self._root)
        return self._shared
