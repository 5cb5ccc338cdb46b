"""One real machine's life, from its first boot to its removal. Each test goes on from the one before."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from components.qemu import counter, disk, image, leftovers, network, process, snapshot
from components.qemu.definition import MachineSpec
from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine, MachineError
from tests.qemu.conftest import SpecOf, end_all

pytestmark = [pytest.mark.local, pytest.mark.machine]

DATA = "storage-data"
DEVICE = disk.device_of(DATA)
NEIGHBOUR = "10.77.0.12"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackDirectory]:
    stack = StackDirectory(tmp_path_factory.mktemp("a project") / ("deep" * 25) / "dev")
    yield stack
    end_all(stack)


@pytest.fixture(scope="module")
def spec(spec_of: SpecOf) -> MachineSpec:
    return spec_of(disks=(DATA,))


@pytest.fixture(scope="module")
def machine(stack: StackDirectory, spec: MachineSpec) -> Machine:
    disk.create(stack, DATA, 5)
    machine = Machine(stack, spec.name)
    machine.define(spec, image.ensure(print))
    machine.start()
    machine.wait(spec.host_public_key, print)
    return machine


@pytest.fixture(scope="module")
def run(
    stack: StackDirectory,
    client_key: asyncssh.SSHKey,
    host_key: asyncssh.SSHKey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Run a command in the machine as an operator would, the host key pinned."""
    keys = tmp_path_factory.mktemp("keys")
    client_key.write_private_key(keys / "key")
    (keys / "key").chmod(0o600)

    def command(line: str, name: str = "storage", user: str = "root", key: Path = keys / "key") -> str:
        definition = Machine(stack, name).definition
        assert definition is not None
        where = f"[{definition.address}]:{definition.ssh_port}"
        (keys / "known").write_text(f"{where} {host_key.export_public_key().decode()}")
        options = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={keys / 'known'}", "BatchMode=yes"]
        words = ["ssh", "-F", "none", "-i", str(key), "-p", str(definition.ssh_port)]
        words += [word for option in options for word in ("-o", option)]
        words += [f"{user}@{definition.address}", line]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return command


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_it_is_what_it_was_defined_to_be(machine: Machine, run: Run) -> None:
    assert run("hostname; hostname -f; ip -brief address show eth1 | awk '{print $3}'").split() == [
        "storage",
        "storage",
        "10.77.0.11/24",
    ]
    assert run(f"cat /sys/class/net/eth1/mtu; blockdev --getsize64 {DEVICE}").split() == ["65000", str(5 << 30)]
    assert run("systemctl --failed --no-legend") == ""
    assert abs(int(run("date +%s")) - time.time()) < 30


def test_nothing_that_a_role_needs_runs_before_it_is_asked_for(machine: Machine, run: Run) -> None:
    programs = ("restic", "gluster", "exportfs", "nft", "mkfs.xfs", "python3", "unattended-upgrade")
    said = run(f"command -v {' '.join(programs)} | wc -l; ss -Hltn | awk '{{print $4}}'").split()
    assert said[0] == str(len(programs))
    assert {address.rpartition(":")[2] for address in said[1:]} == {"22"}


def test_only_the_key_opens_it(machine: Machine, run: Run, tmp_path: Path) -> None:
    assert run("sshd -T | grep -E '^(passwordauthentication|kbdinteractiveauthentication) '") == (
        "passwordauthentication no\nkbdinteractiveauthentication no"
    )
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "other")
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(AssertionError, match="Permission denied"):
        run("true", key=tmp_path / "other")


def test_its_private_key_is_in_no_command_line_environment_or_readable_file(machine: Machine, run: Run) -> None:
    running = process.find(machine.directory, process.QEMU)
    assert running is not None
    told = run("cat /etc/ssh/ssh_host_ed25519_key").splitlines()[2]
    assert told not in " ".join(running.cmdline())
    assert told not in " ".join(running.environ().values())
    readable = [path for path in machine.stack.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in readable if told.encode() in path.read_bytes()[: 1 << 20]]
    assert run(f"su nobody -s /bin/sh -c 'grep -rls {told} /etc /run /proc/cmdline /sys/firmware' || true") == ""


def test_another_host_key_is_noticed(machine: Machine) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(MachineError, match="has another host key than the machine was given"):
        machine.wait(other)


def test_a_second_start_changes_nothing(machine: Machine) -> None:
    before = process.find(machine.directory, process.QEMU)
    machine.start()
    assert process.find(machine.directory, process.QEMU) == before


def test_its_disk_grows_while_it_runs(machine: Machine, run: Run) -> None:
    disk.grow(machine.stack, DATA, 7)
    assert run(f"blockdev --getsize64 {DEVICE}") == str(7 << 30)
    assert disk.size_gb(machine.stack, DATA) == 7


def test_two_machines_reach_each_other_and_go_on_with_a_new_switch(machine: Machine, run: Run, spec_of: SpecOf) -> None:
    neighbour = Machine(machine.stack, "neighbour")
    spec = spec_of("neighbour", NEIGHBOUR, memory_mb=512)
    neighbour.define(spec, image.ensure(print))
    neighbour.start()
    neighbour.wait(spec.host_public_key, print)
    assert run(f"ping -c 1 -W 5 -M do -s 8900 {NEIGHBOUR}")
    network.stop(machine.stack.network)
    network.start(machine.stack.network)
    assert run(f"ping -c 3 -W 5 {NEIGHBOUR}")


def test_a_machine_cannot_take_its_neighbours_address(machine: Machine, run: Run) -> None:
    run("ip address add 10.77.0.99/24 dev eth1", name="neighbour")
    received = run("ping -c 2 -W 2 -I 10.77.0.99 10.77.0.11 | grep -o '[0-9]* received'", name="neighbour")
    assert received == "0 received"
    Machine(machine.stack, "neighbour").delete()


def test_a_snapshot_brings_back_the_whole_machine(machine: Machine, run: Run) -> None:
    run("touch /run/before")
    snapshot.save(machine, "test")
    run("rm /run/before")
    machine.kill()
    snapshot.restore(machine, "test")
    until(lambda: run("ls /run/before") == "/run/before")


def test_its_counter_is_taken_for_as_fast_as_it_is(run: Run) -> None:
    # What is told of the processor stands for the counter as well, unless that has a line of its own.
    found = re.findall(r"tsc: Detected ([0-9.]+) MHz", run("dmesg"))
    assert float(found[-1]) * 1000 == pytest.approx(counter.khz(), rel=0.01)


def test_what_was_written_survives_a_power_cut(machine: Machine, run: Run, spec: MachineSpec) -> None:
    run(f"mkfs.xfs -q -f {DEVICE} && mount {DEVICE} /mnt && echo kept > /mnt/file && sync /mnt/file")
    machine.kill()
    assert not machine.is_running()
    machine.start()
    machine.wait(spec.host_public_key, print)
    assert run(f"mount {DEVICE} /mnt && cat /mnt/file && umount /mnt") == "kept"


def test_a_clean_stop_is_one(machine: Machine, run: Run, spec: MachineSpec) -> None:
    boot = run("cat /proc/sys/kernel/random/boot_id").replace("-", "")
    started = time.monotonic()
    machine.stop()
    assert time.monotonic() - started < 60
    machine.define(MachineSpec(**{**vars(spec), "memory_mb": 1280}), image.ensure(print))
    machine.start()
    machine.wait(spec.host_public_key, print)
    assert "Reached target" in run(
        f"journalctl -q -o cat -b {boot} | grep -i 'target poweroff\\|power off' | tail -n 1"
    )
    assert int(run("awk '/MemTotal/ {print $2}' /proc/meminfo")) > 1100 * 1024


def test_a_machine_that_cannot_start_says_why(machine: Machine, spec: MachineSpec) -> None:
    machine.stop()
    kernel = next(machine.stack.images.glob("*/vmlinuz"))
    hidden = kernel.rename(kernel.with_name("hidden"))
    with pytest.raises(MachineError, match=r"machine storage did not start: QEMU ended: .*vmlinuz"):
        machine.start()
    hidden.rename(kernel)


def test_a_machine_that_stops_in_its_boot_is_not_waited_for(machine: Machine, spec: MachineSpec) -> None:
    machine.start()
    threading.Timer(3.0, machine.kill).start()
    started = time.monotonic()
    with pytest.raises(MachineError, match=r"machine storage \(off\): it stopped while it was booting.*console\.log"):
        machine.wait(spec.host_public_key)
    assert time.monotonic() - started < 30
    machine.start()


def test_removing_it_leaves_no_process_socket_or_file(machine: Machine) -> None:
    machine.delete()
    machine.delete()
    assert process.find(machine.directory, process.QEMU) is None
    assert not machine.directory.exists()
    assert not list(machine.stack.network.glob("*.port"))
    assert leftovers.sweep(machine.stack) == [DATA]
    disk.delete(machine.stack, DATA)
    leftovers.sweep(machine.stack)
    assert not machine.stack.root.exists()
