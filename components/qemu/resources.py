"""The local platform's parts as Pulumi resources. Arguments in, ``providers`` does the work."""

import re
from collections.abc import Sequence

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import Resource
from typing_extensions import override

from components.qemu.providers import DiskProvider, MachineProvider, NetworkProvider


class _Part(Resource):
    """A resource whose properties are camelCase in the state and snake_case here, as in Pulumi's own packages."""

    @override
    def translate_input_property(self, prop: str) -> str:
        return prop if prop.startswith("_") else re.sub(r"_(.)", lambda found: found[1].upper(), prop)

    @override
    def translate_output_property(self, prop: str) -> str:
        return prop if prop.startswith("_") else re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", prop)


def _one_at_a_time(opts: ResourceOptions | None) -> ResourceOptions:
    """The new one takes the old one's name and place, so the old one has to go first."""
    return ResourceOptions.merge(ResourceOptions(delete_before_replace=True), opts)


class Network(_Part, module="qemu", name="Network"):
    """The stack's own network: a switch that machines are connected to, isolated from everything else.

    root: the stack's directory, relative to the project. ``running`` tells whether the switch is alive.
    """

    root: Output[str]
    running: Output[bool]

    def __init__(self, name: str, root: str, opts: ResourceOptions | None = None) -> None:
        props = {"root": root, "name": name, "running": None, "owner": None}
        super().__init__(NetworkProvider(), name, props, _one_at_a_time(opts))


class Disk(_Part, module="qemu", name="Disk"):
    """A data disk, which outlives its machine and grows while that runs.

    root: the stack's directory, relative to the project; size_gb: its size in GiB. A smaller size is refused at
    preview. ``device`` is its path in the guest; ``instance`` changes when a fresh disk takes the place of one that
    was lost.
    """

    root: Output[str]
    size_gb: Output[int]
    serial: Output[str]
    device: Output[str]
    instance: Output[str]

    def __init__(self, name: str, root: str, size_gb: Input[int], opts: ResourceOptions | None = None) -> None:
        made = dict.fromkeys(("serial", "device", "instance", "owner"))
        props = {"root": root, "name": name, "size_gb": size_gb, **made}
        super().__init__(DiskProvider(), name, props, _one_at_a_time(opts))


class Machine(_Part, module="qemu", name="Machine"):
    """A machine that runs, answers by SSH as root with the pinned host key, and has its data disks.

    root: the stack's directory, relative to the project. private_address: its IPv4 address on the stack's
    network, in 10.77.0.0/24. authorized_key: the operator's public key. host_private_key (kept secret) and
    host_public_key: what the machine proves itself with. All keys in OpenSSH's forms. disks: the data disks.
    cpus, memory_mb: taken over by a restart. shared_addresses: what it may take in turn with other machines.

    ``address`` and ``ssh_port`` lead to its SSH server from this computer; ``instance`` changes when a fresh
    machine takes its place; ``running`` is what was last seen of it.
    """

    root: Output[str]
    address: Output[str]
    ssh_port: Output[int]
    private_address: Output[str]
    instance: Output[str]
    running: Output[bool]

    def __init__(
        self,
        name: str,
        root: str,
        private_address: Input[str],
        authorized_key: Input[str],
        host_private_key: Input[str],
        host_public_key: Input[str],
        disks: Sequence[Disk] = (),
        cpus: Input[int] = 1,
        memory_mb: Input[int] = 1024,
        shared_addresses: Sequence[str] = (),
        opts: ResourceOptions | None = None,
    ) -> None:
        made = dict.fromkeys(("address", "ssh_port", "instance", "owner", "running"))
        props = {
            "root": root,
            "name": name,
            "private_address": private_address,
            "authorized_key": authorized_key,
            "host_private_key": Output.secret(host_private_key),
            "host_public_key": host_public_key,
            "disks": [disk.id for disk in disks],
            "cpus": cpus,
            "memory_mb": memory_mb,
            "shared_addresses": list(shared_addresses),
            **made,
        }
        opts = ResourceOptions.merge(opts, ResourceOptions(additional_secret_outputs=["hostPrivateKey"]))
        super().__init__(MachineProvider(), name, props, _one_at_a_time(opts))
