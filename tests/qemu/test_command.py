"""The command line of a machine, and what it is told at its start."""

import base64
import stat
from pathlib import Path

import pytest

from components.qemu import command, counter, credentials
from components.qemu.definition import Definition, identity, loopback_address
from tests.qemu.conftest import SpecOf

pytestmark = pytest.mark.local


def definition_of(name: str = "storage", **other: object) -> Definition:
    values: dict[str, object] = {
        "name": name,
        "instance": "1",
        "owner": "2",
        "image": "0123456789abcdef",
        "address": "127.1.2.3",
        "private_address": "10.77.0.11",
        "cpus": 2,
        "memory_mb": 768,
        "disks": ("storage-data",),
        "identity": "abc",
        **other,
    }
    return Definition(**values)  # type: ignore[arg-type]


def test_every_path_is_relative_so_that_a_moved_project_keeps_its_machines() -> None:
    words = command.arguments(definition_of())
    assert not [word for word in words if "=/" in word or word.startswith("/")]


def test_sockets_have_short_paths() -> None:
    ends = [word for word in command.arguments(definition_of("n" * 63)) if word.startswith("dgram,")]
    assert [len(part.partition("=")[2]) < 64 for part in ends[0].split(",")[2:]] == [True] * 4


def test_ssh_is_reached_at_the_machines_own_loopback_address_only() -> None:
    assert any("hostfwd=tcp:127.1.2.3:2222-:22" in word for word in command.arguments(definition_of()))


def test_the_disk_carries_its_serial() -> None:
    assert any(word.endswith(",serial=storage-data") for word in command.arguments(definition_of()))


@pytest.mark.parametrize("kvm", [True, False])
def test_emulated_machines_are_spared_what_is_slow_only_there(monkeypatch: pytest.MonkeyPatch, kvm: bool) -> None:
    monkeypatch.setattr(command, "has_kvm", lambda: kvm)
    line = command.arguments(definition_of())
    assert ("kvm" in line) is kvm
    assert line[line.index("-cpu") + 1] == ("host" if kvm else "Westmere,-cx16")
    kernel_line = line[line.index("-append") + 1].split()
    assert "panic=10" in kernel_line
    assert ("norandmaps" in kernel_line) is not kvm
    assert ("tsc=nowatchdog" in kernel_line) is not kvm


def test_a_machine_that_starts_is_told_how_fast_its_counter_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "has_kvm", lambda: False)
    definition, lines = definition_of(), list[list[str]]()
    for khz, told in ((2596134, ["tsc_early_khz=2596134"]), (2596135, ["tsc_early_khz=2596135"]), (None, [])):
        monkeypatch.setattr(counter, "khz", lambda khz=khz: khz)
        line = command.starting(definition)
        assert [word for word in line[line.index("-append") + 1].split() if word.startswith("tsc_early")] == told
        lines.append(line)
    # It is measured a little differently each time, which is no reason to start a machine anew.
    assert [command.is_of(line, definition) for line in lines] == [True] * 3
    assert not command.is_of(lines[0], definition_of(cpus=1))
    # Under KVM the counter is the machine's own.
    monkeypatch.setattr(command, "has_kvm", lambda: True)
    assert command.starting(definition) == command.arguments(definition)


def test_keys_are_in_files_of_the_owner_and_never_on_the_command_line(tmp_path: Path, spec_of: SpecOf) -> None:
    spec = spec_of()
    credentials.write(tmp_path, spec, {})
    [path] = (tmp_path / credentials.DIRECTORY).iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    line = " ".join(command.arguments(definition_of(identity=identity(spec))))
    for secret in spec.host_private_key.splitlines()[1:-1]:
        assert secret not in line
        assert base64.b64encode(secret.encode()).decode() not in line
    assert spec.authorized_key.split()[1] not in line


def test_a_machine_is_told_its_keys_and_its_network(tmp_path: Path, spec_of: SpecOf) -> None:
    spec = spec_of(private_address="10.77.0.42")
    credentials.write(tmp_path, spec, {"FIRST": "1", "SECOND": "~2"})
    text = (tmp_path / credentials.DIRECTORY / credentials.NAME).read_text()
    head, _, encoded = text.partition("=")
    assert head == "io.systemd.credential.binary:tmpfiles.extra"
    files = {
        line.split()[1]: base64.b64decode(line.split()[6]).decode()
        for line in base64.b64decode(encoded).decode().splitlines()
        if line.startswith("f")
    }
    assert files["/root/.ssh/authorized_keys"].strip() == spec.authorized_key.strip()
    assert files["/etc/ssh/ssh_host_ed25519_key"].strip() == spec.host_private_key.strip()
    assert "Address=10.77.0.42/24" in files["/etc/systemd/network/20-storage.network"]
    assert files["/etc/ssh/sshd_config.d/10-environment.conf"] == "SetEnv FIRST=1\nSetEnv SECOND=~2\n"
    assert "MACAddress=52:54:0a:4d:00:2a" in files["/etc/systemd/network/20-storage.network"]


def test_a_definition_survives_being_written_down(tmp_path: Path) -> None:
    definition_of().save(tmp_path)
    assert Definition.load(tmp_path) == definition_of()
    assert Definition.load(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("address", ["10.78.0.1", "10.77.0.0", "10.77.0.255", "127.0.0.1"])
def test_a_private_address_is_one_of_the_stacks_network(spec_of: SpecOf, address: str) -> None:
    with pytest.raises(ValueError, match=f"the private address {address} is not one of a machine in 10.77.0.0/24"):
        spec_of(private_address=address)


def test_each_place_has_loopback_addresses_of_its_own() -> None:
    found = {loopback_address(f"/somewhere/{number}", attempt) for number in range(50) for attempt in range(3)}
    assert len(found) == 150
    assert all(address.startswith("127.") and not address.startswith("127.0.") for address in found)
    assert loopback_address("/a", 0) == loopback_address("/a", 0)
