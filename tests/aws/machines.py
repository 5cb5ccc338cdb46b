"""Instances as virtual machines on this computer, and volumes as the disks that are in them.

Each boots a stock Debian with cloud-init and is told what its instance was told: the user-data, the key pair, its id.
A volume shows in it by the name that EC2 would give. Unlike in EC2, a machine is first started when its volume is in.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components.qemu import credentials, disk, files, image, process
from components.qemu.definition import NETWORK, MachineSpec
from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from components.qemu.recipe import FILES, MACHINE_PACKAGES, Recipe
from components.qemu.switch import hardware_address
from demo.addon import Addon
from demo.machines import application_machines
from plan.addon import share
from tests.aws.bastion import Bastion
from tests.aws.cloud import Cloud
from tests.engine.ssh_server import Loop
from tests.project import Project

_OWN = Path(__file__).with_name("machine_image")

#: What Debian's image for clouds has of what matters here; all else has to come by the user-data.
_STOCK = ("ca-certificates", "cloud-init", "dbus", "e2fsprogs", "iproute2", "openssh-server", "sudo")

#: How the computer's networks look in a machine, the same whichever image it has.
_SHARED = ("etc/systemd/network/10-outbound.network", "etc/resolv.conf", "etc/fstab", "etc/acpi/events/power")

_CLIENT = "10.77.0.101"

_SEED = "/var/lib/cloud/seed/nocloud"


@dataclass
class Machines:
    """The machines of one region; ``directory`` holds them, their disks, and their network.

    They are brought to what the cloud says whenever someone asks for the way to one, and on ``follow``.
    """

    cloud: Cloud
    region: str
    directory: StackDirectory
    recipe: Recipe
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._bastion = Bastion(self._way)

    @property
    def bastion(self) -> dict[str, Any]:
        """The setting that leads there."""
        return self._bastion.setting

    def follow(self) -> None:
        """Starts, grows, stops and deletes what is not as the cloud has it."""
        with self._lock:
            instances = {each["InstanceId"]: each for each in self.cloud.instances(self.region)}
            volumes = {_serial(each["VolumeId"]): each for each in self.cloud.data_volumes(self.region)}
            for name in self._machine_names():
                if name not in instances:
                    Machine(self.directory, name).delete()
            for name, volume in volumes.items():
                disk.create(self.directory, name, volume["Size"])
            for path in self.directory.root.glob("disks/vol*.qcow2"):
                if path.stem not in volumes:
                    disk.delete(self.directory, path.stem)
            for instance in instances.values():
                self._bring(instance)

    def instance(self, address: str) -> dict[str, Any]:
        """The instance that has a private address now. Raises OSError where none has."""
        for each in self.cloud.instances(self.region):
            if each["PrivateIpAddress"] == address:
                return each
        raise OSError(f"no instance has the address {address}")

    def machine(self, address: str) -> Machine:
        """Its machine. Raises OSError where no instance has the address."""
        return Machine(self.directory, self.instance(address)["InstanceId"])

    def running(self) -> list[str]:
        """The instances whose machines are on."""
        return [name for name in self._machine_names() if Machine(self.directory, name).is_running()]

    def _machine_names(self) -> list[str]:
        return [name for name in self.directory.machine_names() if name.startswith("i-")]

    async def _way(self, address: str) -> tuple[str, int]:
        await asyncio.to_thread(self.follow)
        definition = (await asyncio.to_thread(self.machine, address)).definition
        if definition is None:
            raise OSError(f"{address} has not been started yet")
        return definition.address, definition.ssh_port

    def _bring(self, instance: dict[str, Any]) -> None:
        machine = Machine(self.directory, instance["InstanceId"])
        if instance["State"]["Name"] != "running":
            if machine.definition is not None:
                machine.stop()
            return
        attached = self.cloud.data_volumes(self.region)
        disks = tuple(
            _serial(each["VolumeId"])
            for each in attached
            if any(place["InstanceId"] == instance["InstanceId"] for place in each["Attachments"])
        )
        if not disks or machine.is_running():
            return
        ec2 = self.cloud.ec2(self.region)
        kind = ec2.describe_instance_types(InstanceTypes=[instance["InstanceType"]])["InstanceTypes"][0]
        pairs = ec2.describe_key_pairs(KeyNames=[instance["KeyName"]], IncludePublicKey=True)
        spec = MachineSpec(
            name=machine.name,
            private_address=instance["PrivateIpAddress"],
            authorized_key=pairs["KeyPairs"][0]["PublicKey"],
            host_public_key="made by the machine",
            host_private_key="made by the machine",
            cpus=kind["VCpuInfo"]["DefaultVCpus"],
            memory_mb=kind["MemoryInfo"]["SizeInMiB"],
            disks=disks,
        )
        machine.define(spec, image.ensure(_quiet, self.recipe))
        # Instead of what a machine of the local platform is told.
        told = self._told(instance, spec)
        files.write(
            machine.directory / credentials.DIRECTORY / credentials.NAME,
            f"io.systemd.credential.binary:{credentials.NAME}={_base64(told)}",
        )
        machine.start()

    def _told(self, instance: dict[str, Any], spec: MachineSpec) -> str:
        """The network, and what EC2's metadata service would answer."""
        about = {
            "instance-id": instance["InstanceId"],
            "local-hostname": "ip-" + spec.private_address.replace(".", "-"),
            "public-keys": [spec.authorized_key],
        }
        network = (
            f"[Match]\nMACAddress={hardware_address(spec.private_address).hex(':')}\n\n[Link]\nMTUBytes=9000\n\n"
            f"[Network]\nAddress={spec.private_address}/{NETWORK.prefixlen}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        )
        written = {
            "/etc/systemd/network/20-storage.network": (0o644, network),
            f"{_SEED}/meta-data": (0o600, yaml.safe_dump(about)),
            f"{_SEED}/user-data": (0o600, self.cloud.user_data(instance["InstanceId"], self.region)),
        }
        return "".join(f"f+~ {path} {mode:04o} root root - {_base64(text)}\n" for path, (mode, text) in written.items())


@contextmanager
def booting(cloud: Cloud, region: str, place: Path, loop: Loop) -> Iterator[Machines]:
    """The machines of a region for the length of a `with`, and nothing of them left running at its end."""
    recipe_files = place / "recipe"
    shutil.copytree(_OWN, recipe_files)
    for name in _SHARED:
        (recipe_files / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FILES / "files" / name, recipe_files / "files" / name)
    recipe = Recipe(packages=tuple(sorted({*_STOCK, *MACHINE_PACKAGES})), files=recipe_files)
    image.ensure(_quiet, recipe)
    directory = StackDirectory(place / "region")
    directory.root.mkdir()
    made = Machines(cloud, region, directory, recipe)
    loop.run(made._bastion.open())
    try:
        yield made
    finally:
        loop.run(made._bastion.close())
        for name in directory.machine_names():
            Machine(directory, name).delete()
        if running := process.find(directory.network, process.SWITCH):
            process.end(running)


def settings(machines: Machines, **changes: Any) -> dict[str, Any]:
    """Those of a stack in the region, with one environment."""
    return {
        "platform": "aws",
        "region": machines.region,
        # Where connections from this computer seem to come from.
        "adminCidrs": ["10.0.2.2"],
        "sizeGb": 5,
        "bastion": machines.bastion,
        "environments": {"shop": {"clients": [_CLIENT]}},
        **changes,
    }


@contextmanager
def application(project: Project, machines: Machines) -> Iterator[Addon]:
    """The shop's add-on, with its repository mounted, on a machine in the same network."""
    with application_machines(machines.directory, {"shop": _CLIENT}, _quiet) as shells:
        made = Addon(shells["shop"], "shop", share(project.outputs()["addon"], "shop"))
        made.mount()
        yield made


def _serial(volume: str) -> str:
    return volume.replace("-", "")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _quiet(_: str) -> None:
    pass
