"""The switch between a stack's machines, with real sockets in the place of machines."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from components.qemu import network, process, switch
from components.qemu.layout import StackDirectory

A, B, C = "10.77.0.11", "10.77.0.12", "10.77.0.13"
EVERYBODY = b"\xff" * 6

pytestmark = pytest.mark.local


class Nic:
    """A machine's end of its port, as QEMU has it."""

    def __init__(self, directory: Path, address: str) -> None:
        self.address = address
        self.hardware = switch.hardware_address(address)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(5.0)
        here = Path.cwd()
        os.chdir(directory)
        try:
            Path(f"{address}.port").unlink(missing_ok=True)
            self.socket.bind(f"{address}.port")
        finally:
            os.chdir(here)
        self.directory = os.open(directory, os.O_RDONLY)

    def send(self, target: bytes, body: bytes = b"hello", source: bytes = b"", address: str = "") -> None:
        header = target + (source or self.hardware) + b"\x08\x00"
        ip = b"\x45" + bytes(11) + socket.inet_aton(address or self.address) + bytes(4)
        self.raw(header + ip + body)

    def raw(self, frame: bytes) -> None:
        self.socket.sendto(frame, f"/proc/self/fd/{self.directory}/{switch.SOCKET}")

    def receive(self) -> bytes:
        """What follows the headers of the next frame."""
        return self.socket.recv(2 * switch.FRAME_BYTES)[34:]

    def hears_nothing(self, but: "Nic") -> bool:
        """Whether a frame of ``but``'s, sent now, is the next that arrives."""
        but.send(self.hardware, b"marker")
        return self.receive() == b"marker"

    def close(self) -> None:
        self.socket.close()
        with suppress(OSError):
            os.close(self.directory)


@pytest.fixture
def nic(stack: StackDirectory) -> Iterator[Callable[[str], Nic]]:
    network.start(stack.network)
    made: list[Nic] = []

    def make(address: str) -> Nic:
        made.append(Nic(stack.network, address))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_frame_reaches_the_machine_that_it_is_for_and_no_other(nic: Callable[[str], Nic]) -> None:
    a, b, c = nic(A), nic(B), nic(C)
    a.send(b.hardware)
    assert b.receive() == b"hello"
    assert c.hears_nothing(but=b)


def test_a_broadcast_reaches_every_other_machine(nic: Callable[[str], Nic]) -> None:
    a, b, c = nic(A), nic(B), nic(C)
    a.send(EVERYBODY)
    assert (b.receive(), c.receive()) == (b"hello", b"hello")
    assert a.hears_nothing(but=b)


def test_a_frame_of_65000_bytes_of_payload_passes_whole(nic: Callable[[str], Nic]) -> None:
    a, b = nic(A), nic(B)
    body = os.urandom(65000 - 20)
    a.send(b.hardware, body)
    assert b.receive() == body


@pytest.mark.parametrize(
    "forged", [{"source": switch.hardware_address(C)}, {"address": C}], ids=["hardware address", "IPv4 source"]
)
def test_a_machine_cannot_speak_as_its_neighbour(nic: Callable[[str], Nic], forged: dict[str, object]) -> None:
    a, b, c = nic(A), nic(B), nic(C)
    a.send(b.hardware, b"forged", **forged)  # type: ignore[arg-type]
    assert b.hears_nothing(but=c)


def arp(hardware: bytes, address: str) -> bytes:
    """An announcement that this address is at this hardware."""
    ip = socket.inet_aton(address)
    return EVERYBODY + hardware + b"\x08\x06" + b"\0\x01\x08\0\x06\x04\0\x01" + hardware + ip + bytes(6) + ip


def test_a_machine_cannot_claim_its_neighbours_address(nic: Callable[[str], Nic]) -> None:
    a, b, c = nic(A), nic(B), nic(C)
    a.raw(arp(a.hardware, C))
    assert b.hears_nothing(but=c)
    a.raw(arp(a.hardware, A))
    assert b.socket.recv(10000) == arp(a.hardware, A)


@pytest.mark.parametrize("kind", [b"\x86\xdd", b"\x81\x00", b"\x88\xcc"], ids=["IPv6", "tagged", "LLDP"])
def test_what_cannot_be_checked_is_dropped(nic: Callable[[str], Nic], kind: bytes) -> None:
    a, b = nic(A), nic(B)
    a.raw(b.hardware + a.hardware + kind + bytes(60))
    a.raw(b"short")
    assert b.hears_nothing(but=a)


def test_machines_that_run_go_on_when_the_switch_is_started_anew(
    nic: Callable[[str], Nic], stack: StackDirectory
) -> None:
    a, b = nic(A), nic(B)
    network.stop(stack.network)
    assert not network.is_running(stack.network)
    network.start(stack.network)
    a.send(b.hardware)
    assert b.receive() == b"hello"


def test_a_switch_that_is_older_than_its_program_makes_way_for_a_new_one(
    stack: StackDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "switch.py"
    program.write_bytes(Path(switch.__file__).read_bytes())
    monkeypatch.setattr(switch, "__file__", str(program))
    found = list[int]()
    # As a project is that was just changed, and as it is afterwards.
    for age in (60, 60, -60):
        os.utime(program, (time.time() - age, time.time() - age))
        network.start(stack.network)
        running = process.find(stack.network, process.SWITCH)
        assert running is not None
        found.append(running.pid)
    assert found[0] == found[1] != found[2]


def test_a_machine_that_was_started_anew_is_found_at_its_new_socket(nic: Callable[[str], Nic]) -> None:
    a, before = nic(A), nic(B)
    a.send(before.hardware)
    assert before.receive() == b"hello"
    before.socket.close()
    after = nic(B)
    deadline = time.monotonic() + 5.0
    after.socket.settimeout(0.2)
    while time.monotonic() < deadline:
        a.send(after.hardware, b"again")
        with suppress(TimeoutError):
            assert after.receive() == b"again"
            return
    raise AssertionError("nothing arrived at the new socket")


def test_a_machine_that_reads_slowly_gets_its_frames_in_order_and_holds_up_nobody(nic: Callable[[str], Nic]) -> None:
    a, slow, quick = nic(A), nic(B), nic(C)
    for number in range(100):
        a.send(slow.hardware, b"%d" % number)
    a.send(quick.hardware)
    assert quick.receive() == b"hello"
    assert [slow.receive() for _ in range(100)] == [b"%d" % number for number in range(100)]


def test_a_network_has_one_switch(nic: Callable[[str], Nic], stack: StackDirectory) -> None:
    first = process.find(stack.network, process.SWITCH)
    network.start(stack.network)
    assert process.find(stack.network, process.SWITCH) == first


def test_the_switch_ends_when_its_directory_is_removed(stack: StackDirectory) -> None:
    network.start(stack.network)
    running = process.find(stack.network, process.SWITCH)
    assert running is not None
    shutil.rmtree(stack.network)
    assert process.wait_gone(running, 3 * switch.CHECK_SECONDS)
