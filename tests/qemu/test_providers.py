"""What the engine is told, without machines that run."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.rpc import UNKNOWN

from components.qemu import disk, image, leftovers, network, process
from components.qemu.definition import Definition
from components.qemu.layout import PROJECT, StackDirectory
from components.qemu.machine import Machine, MachineError
from components.qemu.providers import DiskProvider, MachineProvider, NetworkProvider
from tests.qemu.conftest import SpecOf

pytestmark = pytest.mark.local


@pytest.fixture
def fake_image(tmp_path: Path) -> image.Image:
    directory = tmp_path / "cache" / "0123456789abcdef"
    directory.mkdir(parents=True)
    made = image.Image(directory)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", made.disk, "1G"], check=True)
    for path in (made.kernel, made.initrd, made.restic):
        path.write_bytes(b"")
    return made


def machine_props(stack: StackDirectory, **other: object) -> dict[str, Any]:
    return {
        "root": str(stack.root),
        "name": "storage",
        "privateAddress": "10.77.0.11",
        "authorizedKey": "ssh-ed25519 AAAA",
        "hostPublicKey": "ssh-ed25519 BBBB",
        "cpus": 1,
        "memoryMb": 1024,
        "disks": ["storage-data"],
        "owner": "me",
        **other,
    }


@pytest.fixture
def defined(stack: StackDirectory, fake_image: image.Image, spec_of: SpecOf) -> Machine:
    machine = Machine(stack, "storage")
    machine.define(spec_of(disks=("storage-data",)), fake_image, "me")
    return machine


@pytest.fixture
def looks_on(defined: Machine) -> Iterator[None]:
    """A process where the machine's would be, with the machine's disk open."""
    disk.create(defined.stack, "storage-data", 5)
    program = defined.directory / process.QEMU
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    with (
        defined.stack.disk("storage-data").open() as opened,
        subprocess.Popen(["./" + process.QEMU, "300"], cwd=defined.directory, pass_fds=(opened.fileno(),)) as running,
    ):
        # Right after its start the kernel cannot tell a process's command line yet.
        deadline = time.monotonic() + 30
        while process.find(defined.directory, process.QEMU) is None:
            assert time.monotonic() < deadline
        yield
        running.kill()


@pytest.mark.parametrize("provider", [NetworkProvider, DiskProvider, MachineProvider])
def test_what_the_engine_keeps_of_a_provider_is_the_same_everywhere(provider: type) -> None:
    kept = base64.b64decode(serialize_provider(provider()))
    assert str(PROJECT).encode() not in kept
    assert len(kept) < 100
    script = (
        f"from components.qemu.providers import {provider.__name__} as p\n"
        "from pulumi.dynamic.dynamic import serialize_provider\nprint(serialize_provider(p()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    told = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, check=True)
    assert base64.b64decode(told.stdout) == kept


def test_a_machine_that_runs_as_it_should_shows_no_change(
    stack: StackDirectory, defined: Machine, looks_on: None
) -> None:
    props = machine_props(stack)
    assert MachineProvider().diff("storage", {**props, "running": True}, props).changes is False


def test_a_machine_that_is_off_is_a_change_that_starts_it(stack: StackDirectory, defined: Machine) -> None:
    props = machine_props(stack)
    result = MachineProvider().diff("storage", {**props, "running": True}, props)
    assert (result.changes, result.replaces) == (True, [])


def test_a_machine_whose_disk_was_made_anew_is_restarted(
    stack: StackDirectory, defined: Machine, looks_on: None
) -> None:
    stack.disk("storage-data").unlink()
    disk.create(stack, "storage-data", 5)
    props = machine_props(stack)
    assert MachineProvider().diff("storage", {**props, "running": True}, props).changes is True


@pytest.mark.parametrize(
    "changed", [{"memoryMb": 2048}, {"cpus": 2}, {"disks": []}, {"authorizedKey": "x"}, {"hostPublicKey": UNKNOWN}]
)
def test_what_a_machine_is_given_changes_in_place(
    stack: StackDirectory, defined: Machine, looks_on: None, changed: dict[str, object]
) -> None:
    olds = machine_props(stack, running=True)
    result = MachineProvider().diff("storage", olds, machine_props(stack, **changed))
    assert (result.changes, result.replaces) == (True, [])


def test_a_machine_that_cannot_be_is_refused_at_preview(stack: StackDirectory) -> None:
    props = machine_props(stack, name="../storage", privateAddress="10.78.0.1")
    failures = MachineProvider().check({}, props).failures
    assert [failure.property for failure in failures] == ["name", "privateAddress"]
    unknown = machine_props(stack, privateAddress=UNKNOWN)
    assert MachineProvider().check({}, unknown).failures == []


def test_another_name_is_another_machine_and_the_old_one_goes_first(stack: StackDirectory, defined: Machine) -> None:
    result = MachineProvider().diff("storage", machine_props(stack), machine_props(stack, name="other"))
    assert (result.replaces, result.delete_before_replace) == (["name"], True)


def test_a_machine_is_seen_as_off_or_as_gone(stack: StackDirectory, defined: Machine) -> None:
    props = machine_props(stack)
    seen = MachineProvider().read("storage", {**props, "running": True})
    assert seen.outs is not None
    assert (seen.id, seen.outs["running"]) == ("storage", False)
    shutil.rmtree(defined.directory)
    assert not MachineProvider().read("storage", props).id


def test_a_machine_keeps_its_image_its_address_and_its_root_disk_when_it_is_defined_again(
    defined: Machine, fake_image: image.Image, spec_of: SpecOf
) -> None:
    before = defined.definition
    newer = image.Image(fake_image.directory.rename(fake_image.directory.with_name("f" * 16)))
    after = defined.define(spec_of(memory_mb=2048), newer)
    assert before is not None
    kept = ("instance", "owner", "image", "address")
    assert [getattr(after, key) for key in kept] == [getattr(before, key) for key in kept]
    assert after.memory_mb == 2048


def test_a_machine_keeps_its_root_disk_when_the_image_cache_is_emptied(
    defined: Machine, fake_image: image.Image
) -> None:
    shutil.rmtree(fake_image.directory)
    checked = subprocess.run(["qemu-img", "check", "-q", defined.directory / "root.qcow2"], check=False)
    assert checked.returncode == 0


def test_two_machines_cannot_have_one_private_address(
    defined: Machine, fake_image: image.Image, spec_of: SpecOf
) -> None:
    with pytest.raises(MachineError, match=r"the private address 10\.77\.0\.11 is machine storage's"):
        Machine(defined.stack, "second").define(spec_of(name="second"), fake_image)


def test_the_definition_on_disk_holds_no_key(defined: Machine, spec_of: SpecOf) -> None:
    kept = (defined.directory / "machine.json").read_text()
    assert not [line for line in spec_of().host_private_key.splitlines() if line in kept]


def test_a_machine_whose_disk_is_gone_does_not_start_without_it(defined: Machine) -> None:
    with pytest.raises(MachineError, match="machine storage: its disk storage-data is gone"):
        defined.start()


def test_deleting_what_is_gone_succeeds(stack: StackDirectory) -> None:
    MachineProvider().delete("storage", machine_props(stack))
    DiskProvider().delete("data", {"root": str(stack.root), "name": "data", "owner": "me"})
    NetworkProvider().delete("net", {"root": str(stack.root), "name": "net", "owner": "me"})


def test_a_resource_that_was_renamed_does_not_delete_what_its_successor_adopted(
    stack: StackDirectory, defined: Machine, fake_image: image.Image, spec_of: SpecOf
) -> None:
    defined.define(spec_of(disks=("storage-data",)), fake_image, "successor")
    MachineProvider().delete("storage", machine_props(stack, owner="me"))
    assert defined.definition is not None
    props = {"root": str(stack.root), "name": "data", "sizeGb": 5}
    old = DiskProvider().create(props).outs
    new = DiskProvider().create(props).outs
    assert old is not None
    assert new is not None
    DiskProvider().delete("data", old)
    assert disk.size_gb(stack, "data") == 5
    DiskProvider().delete("data", new)
    assert disk.size_gb(stack, "data") is None
    props = {"root": str(stack.root), "name": "net"}
    old, new = (NetworkProvider().create(props).outs for _ in range(2))
    NetworkProvider().delete("net", old or {})
    assert network.is_running(stack.network)
    assert defined.definition is not None
    NetworkProvider().delete("net", new or {})
    assert not network.is_running(stack.network)
    assert defined.definition is None


def test_a_machine_that_no_state_knows_does_not_keep_its_disk_from_being_deleted(
    stack: StackDirectory, defined: Machine, looks_on: None
) -> None:
    made = DiskProvider().create({"root": str(stack.root), "name": "storage-data", "sizeGb": 5}).outs
    DiskProvider().delete("storage-data", made or {})
    assert disk.size_gb(stack, "storage-data") is None
    assert not defined.is_running()


def test_a_smaller_disk_is_refused_at_preview_and_both_sizes_are_named(stack: StackDirectory) -> None:
    props = {"root": str(stack.root), "name": "data", "sizeGb": 10}
    DiskProvider().create(props)
    failures = DiskProvider().check(props, {**props, "sizeGb": 7}).failures
    assert [failure.property for failure in failures] == ["sizeGb"]
    assert failures[0].reason.startswith("disk data has 10 GB and 7 GB are asked for")
    assert DiskProvider().check(props, {**props, "sizeGb": 11}).failures == []
    assert DiskProvider().check(props, {**props, "sizeGb": UNKNOWN}).failures == []


def test_a_disk_that_is_gone_is_seen_as_gone(stack: StackDirectory) -> None:
    made = DiskProvider().create({"root": str(stack.root), "name": "data", "sizeGb": 5}).outs
    assert made is not None
    assert DiskProvider().read("data", made).id == "data"
    stack.disk("data").unlink()
    assert not DiskProvider().read("data", made).id


def test_a_larger_disk_grows_in_place(stack: StackDirectory) -> None:
    props = {"root": str(stack.root), "name": "data", "sizeGb": 5}
    made = DiskProvider().create(props).outs
    assert made is not None
    assert DiskProvider().diff("data", made, {**props, "sizeGb": 6}).replaces == []
    grown = DiskProvider().update("data", made, {**props, "sizeGb": 6}).outs
    assert grown == {**made, "sizeGb": 6}


def test_a_switch_that_ended_is_a_change_that_starts_it(stack: StackDirectory) -> None:
    props = {"root": str(stack.root), "name": "net"}
    made = NetworkProvider().create(props).outs
    assert made is not None
    assert NetworkProvider().diff("net", made, props).changes is False
    network.stop(stack.network)
    assert NetworkProvider().diff("net", made, props).changes is True
    NetworkProvider().update("net", made, props)
    assert network.is_running(stack.network)


def test_the_last_to_go_leaves_nothing_but_disks_with_data(stack: StackDirectory, defined: Machine) -> None:
    network.start(stack.network)
    disk.create(stack, "blank", 5)
    disk.create(stack, "written", 5)
    subprocess.run(["qemu-io", "-c", "write 0 64k", stack.disk("written")], check=True, capture_output=True)
    assert leftovers.sweep(stack) == ["written"]
    left = sorted(str(path.relative_to(stack.root)) for path in stack.root.rglob("*") if path.is_file())
    assert left == ["disks/written.json", "disks/written.qcow2"]
    disk.delete(stack, "written")
    assert leftovers.sweep(stack) == []
    assert not stack.root.exists()


def test_a_machine_whose_disk_holds_data_is_switched_off_and_kept(stack: StackDirectory, defined: Machine) -> None:
    network.start(stack.network)
    disk.create(stack, "storage-data", 5)
    subprocess.run(["qemu-io", "-c", "write 0 64k", stack.disk("storage-data")], check=True, capture_output=True)
    assert leftovers.sweep(stack) == ["storage-data"]
    assert not network.is_running(stack.network)
    checked = subprocess.run(["qemu-img", "check", "-q", defined.directory / "root.qcow2"], check=False)
    assert checked.returncode == 0, "its system disk lost the image below it"
    assert found(stack) == {"machines": ["storage"], "disks": {"storage-data": 5}}
    (defined.directory / "root.qcow2").unlink()
    assert found(stack)["machines"] == []


def found(stack: StackDirectory) -> Any:
    line = [sys.executable, "-m", "components.qemu", "list", "--json", "--root", str(stack.root)]
    return json.loads(subprocess.run(line, cwd=PROJECT, capture_output=True, text=True, check=True).stdout)


def test_an_unfinished_definition_is_no_machine(stack: StackDirectory) -> None:
    stack.machine("half").mkdir(parents=True)
    assert Machine(stack, "half").definition is None
    assert Definition.load(stack.machine("half")) is None
    assert stack.machine_names() == []
