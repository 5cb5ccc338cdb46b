"""What the engine calls to make, look at, change and delete the parts of a stack on the local platform.

Each operation may be repeated after the engine was killed in its middle: create adopts what exists under the name,
delete of what is gone succeeds. The providers hold nothing themselves, so that what the engine stores of them
(``__provider``) is the same for every stack, checkout and version.
"""

import uuid
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.runtime.rpc import UNKNOWN
from typing_extensions import override

from components.qemu import disk, image, leftovers, network
from components.qemu.definition import Definition, MachineSpec, check_address
from components.qemu.engine_link import end_with_engine, tell
from components.qemu.layout import StackDirectory, check_name
from components.qemu.machine import Machine

Props = dict[str, Any]

# What makes another thing of a resource rather than the same one changed.
IDENTITY = ("root", "name")


def _known(value: object) -> bool:
    return value is not None and value != UNKNOWN


def _difference(olds: Props, news: Props, in_place: tuple[str, ...], amiss: bool) -> DiffResult:
    replaces = [key for key in IDENTITY if olds.get(key) != news.get(key)]
    changed = amiss or any(olds.get(key) != news.get(key) for key in in_place)
    return DiffResult(changes=bool(replaces) or changed, replaces=replaces, delete_before_replace=True)


class _Provider(ResourceProvider):
    # There is no secret in it, and a secret one would hide that it never changes.
    serialize_as_secret_always = False

    @override
    def configure(self, req: ConfigureRequest) -> None:
        end_with_engine()


class NetworkProvider(_Provider):
    """The switch of a stack."""

    @override
    def create(self, props: Props) -> CreateResult:
        directory = StackDirectory.of(props["root"]).network
        owner = network.claim(directory)
        network.start(directory)
        return CreateResult(props["name"], {**props, "running": True, "owner": owner})

    @override
    def read(self, id_: str, props: Props) -> ReadResult:
        running = network.is_running(StackDirectory.of(props["root"]).network)
        return ReadResult(id_, {**props, "running": running})

    @override
    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        off = _known(news.get("root")) and not network.is_running(StackDirectory.of(news["root"]).network)
        return _difference(olds, news, (), off or olds.get("running") is False)

    @override
    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        network.start(StackDirectory.of(news["root"]).network)
        return UpdateResult({**news, "running": True, "owner": olds.get("owner")})

    @override
    def delete(self, _id: str, props: Props) -> None:
        stack = StackDirectory.of(props["root"])
        # After a resource was renamed, its successor has adopted the network before the old one is deleted.
        if network.owner(stack.network) not in (None, props.get("owner")):
            return
        for name in leftovers.sweep(stack):
            tell(f"disk {name} holds data and is kept in {stack.root}", passing=False)


class DiskProvider(_Provider):
    """A data disk."""

    @override
    def check(self, _olds: Props, news: Props) -> CheckResult:
        if not all(_known(news.get(key)) for key in ("root", "name", "sizeGb")):
            return CheckResult(news, [])
        name, wanted = news["name"], int(news["sizeGb"])
        try:
            present = disk.size_gb(StackDirectory.of(news["root"]), name) or 0
        except (ValueError, disk.DiskError) as error:
            return CheckResult(news, [CheckFailure("name", str(error))])
        if wanted >= present:
            return CheckResult(news, [])
        reason = (
            f"disk {name} has {present} GB and {wanted} GB are asked for: a disk with data on it only grows; "
            f"ask for {present} GB or more, or make a new stack and copy the data"
        )
        return CheckResult(news, [CheckFailure("sizeGb", reason)])

    @override
    def create(self, props: Props) -> CreateResult:
        stack, name = StackDirectory.of(props["root"]), props["name"]
        label = disk.create(stack, name, int(props["sizeGb"]), uuid.uuid4().hex)
        return CreateResult(name, self._outputs(props, label))

    @override
    def read(self, id_: str, props: Props) -> ReadResult:
        stack = StackDirectory.of(props["root"])
        size, label = disk.size_gb(stack, props["name"]), disk.label(stack, props["name"])
        if size is None or label is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, "sizeGb": size, "instance": label.instance})

    @override
    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        return _difference(olds, news, ("sizeGb",), False)

    @override
    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        stack, name = StackDirectory.of(news["root"]), news["name"]
        disk.grow(stack, name, int(news["sizeGb"]))
        label = disk.Label(olds["instance"], olds["owner"])
        return UpdateResult(self._outputs(news, label))

    @override
    def delete(self, _id: str, props: Props) -> None:
        stack, name = StackDirectory.of(props["root"]), props["name"]
        label = disk.label(stack, name)
        # After a resource was renamed, its successor has adopted the disk before the old one is deleted.
        if label is not None and label.owner != props["owner"]:
            return
        # Machines that the engine knows are deleted before their disks: one that still runs with this disk was being
        # made when an engine was killed.
        for machine, _ in disk.users(stack, name):
            Machine(stack, machine.name).kill()
        disk.delete(stack, name)

    @staticmethod
    def _outputs(props: Props, label: disk.Label) -> Props:
        name = props["name"]
        return {
            **props,
            "serial": disk.serial_of(name),
            "device": disk.device_of(name),
            "instance": label.instance,
            "owner": label.owner,
        }


class MachineProvider(_Provider):
    """A machine."""

    @override
    def check(self, _olds: Props, news: Props) -> CheckResult:
        failures = []
        for key, check in (("name", lambda name: check_name(name, "machine")), ("privateAddress", check_address)):
            try:
                if _known(news.get(key)):
                    check(news[key])
            except ValueError as error:
                failures.append(CheckFailure(key, str(error)))
        return CheckResult(news, failures)

    @override
    def create(self, props: Props) -> CreateResult:
        return CreateResult(props["name"], self._bring_up(props, uuid.uuid4().hex))

    @override
    def read(self, id_: str, props: Props) -> ReadResult:
        machine = self._machine(props)
        if (definition := machine.definition) is None:
            return ReadResult("", {})
        return ReadResult(id_, {**props, **_seen(definition), "running": machine.is_running()})

    @override
    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        in_place = ("privateAddress", "sharedAddresses", "authorizedKey", "hostPublicKey", "cpus", "memoryMb", "disks")
        amiss = False
        if olds.get("root") == news.get("root") and olds.get("name") == news.get("name"):
            machine = self._machine(olds)
            amiss = not machine.is_running()
            if amiss:
                tell(f"machine {machine.name} is off; `pulumi up` starts it", passing=False)
            elif not machine.has_its_disks():
                amiss = True
                tell(f"machine {machine.name} runs without its present disk; `pulumi up` restarts it", passing=False)
        return _difference(olds, news, in_place, amiss or olds.get("running") is False)

    @override
    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self._bring_up(news, olds["owner"]))

    @override
    def delete(self, _id: str, props: Props) -> None:
        machine = self._machine(props)
        definition = machine.definition
        # After a resource was renamed, its successor has adopted the machine before the old one is deleted.
        if definition is None or definition.owner == props["owner"]:
            machine.delete()

    @staticmethod
    def _machine(props: Props) -> Machine:
        return Machine(StackDirectory.of(props["root"]), props["name"])

    def _bring_up(self, props: Props, owner: str) -> Props:
        spec = MachineSpec(
            name=props["name"],
            private_address=props["privateAddress"],
            authorized_key=props["authorizedKey"],
            host_public_key=props["hostPublicKey"],
            host_private_key=props["hostPrivateKey"],
            cpus=int(props["cpus"]),
            memory_mb=int(props["memoryMb"]),
            disks=tuple(props["disks"]),
            shared_addresses=tuple(props["sharedAddresses"]),
        )
        machine = self._machine(props)

        def progress(line: str) -> None:
            tell(f"machine {spec.name}: {line}")

        definition = machine.define(spec, image.ensure(progress), owner)
        machine.start()
        machine.wait(spec.host_public_key, progress)
        kept = {key: value for key, value in props.items() if key != "hostPrivateKey"}
        return {**kept, **_seen(definition), "running": True}


def _seen(definition: Definition) -> Props:
    return {
        "address": definition.address,
        "sshPort": definition.ssh_port,
        "instance": definition.instance,
        "owner": definition.owner,
    }
