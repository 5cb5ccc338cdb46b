"""The hosts platform: machines that exist already, reached by SSH. Nothing is made, everything is looked at first."""

import hashlib

import pulumi
from pulumi.dynamic import Resource

from components import remote
from components.platforms.base import Machine
from components.platforms.hosts_survey import HostsProvider, elevation
from components.storage_node import filesystem_id
from plan.hosts import Host
from plan.layout import node_name
from plan.settings import Settings


class Hosts(Resource, module="hosts", name="Hosts"):
    """All machines of a stack, looked at before they are taken and again when what is said of them changes."""

    def __init__(self, name: str, settings: Settings, private_key: str, opts: pulumi.ResourceOptions) -> None:
        props = {
            "stack": pulumi.get_stack(),
            "hosts": [_entry(number, host) for number, host in enumerate(settings.hosts, 1)],
            "sizeGb": settings.size_gb,
            "adminCidrs": list(settings.admin_cidrs),
            "privateKey": pulumi.Output.secret(private_key),
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["privateKey"])
        super().__init__(HostsProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret))


class HostsPlatform:
    """Machines that the settings list; the i-th node runs on the i-th of them."""

    #: The settings have to say it: this computer's address as the hosts see it cannot be known here.
    admin_cidrs = ()

    #: Which addresses are free on the hosts' network, and whether they may move there, cannot be known here either.
    floating_address = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        key = settings.ssh_private_key
        # `pulumi config set` cuts off the last line's end, without which OpenSSH reads no key.
        self._private_key = f"{key.get_secret_value().strip()}\n" if key else ""
        self._hosts: Hosts | None = None

    def preflight(self) -> None:
        """Nothing to find out here: the hosts are looked at by ``Hosts``, which knows from the state what is new."""

    def machine(self, name: str, index: int, opts: pulumi.ResourceOptions) -> Machine:
        """The ``index``-th host."""
        host = self._settings.hosts[index - 1]
        if self._hosts is None:
            kept = pulumi.ResourceOptions(protect=self._settings.protect)
            self._hosts = Hosts("hosts", self._settings, self._private_key, kept)
        return Machine(
            name=name,
            resource=self._hosts,
            instance=pulumi.Output.from_input(_instance(host)),
            connection=remote.connection(
                host=host.address,
                port=host.port,
                user=host.user,
                private_key=self._private_key,
                host_key=host.host_key,
            ),
            user=host.user,
            private_key=pulumi.Output.secret(self._private_key),
            address=pulumi.Output.from_input(host.address),
            ssh_port=pulumi.Output.from_input(host.port),
            private_address=pulumi.Output.from_input(host.private),
            host_key=pulumi.Output.from_input(host.host_key),
            device=pulumi.Output.from_input(host.device),
            elevate=elevation(host.user),
        )


def _entry(number: int, host: Host) -> dict[str, str | int]:
    """A host as the state keeps it, with the node that it is."""
    name = node_name(number)
    return {
        "node": name,
        "address": host.address,
        "privateAddress": host.private,
        "port": host.port,
        "user": host.user,
        "hostKey": host.host_key,
        "device": host.device,
        "filesystem": filesystem_id(pulumi.get_project(), pulumi.get_stack(), name),
    }


def _instance(host: Host) -> str:
    """Another one for another machine or another disk: a machine that is set up anew has a new host key."""
    return hashlib.sha256(f"{host.host_key} {host.device}".encode()).hexdigest()[:32]
