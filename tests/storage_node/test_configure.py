"""`configure` on a real XFS file system, on a loop device of this machine."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage_node import configure, install, library, mount, spec, system
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.storage_node import nodes

UUID = "0b6ae2ff-0000-4000-8000-000000000001"
GB = 10**9


class Disk:
    """A loop device over a sparse file, and a node's root beside it."""

    def __init__(self, directory: Path, device: str) -> None:
        self.file = directory / "disk.img"
        self.device = device
        self.paths = Paths(root=directory / "node")
        link = self.paths.at("/dev/disk/by-id/virtio-data")
        link.parent.mkdir(parents=True)
        link.symlink_to(device)
        self.program = directory / "incoming.pyz"
        nodes.pack(self.program)

    def spec(self, **changes: Any) -> spec.Configure:
        asked = {"program": install.digest(self.program), "filesystem": UUID, "sizeGb": 1, **changes}
        return nodes.configure_spec(**asked)

    def configure(self, **changes: Any) -> dict[str, Any]:
        return configure.apply(self.paths, self.spec(**changes), self.program)

    def resize(self, gigabytes: float) -> None:
        subprocess.run(["truncate", "-s", str(int(gigabytes * GB)), self.file], check=True)
        subprocess.run(["losetup", "-c", self.device], check=True)

    def fingerprint(self) -> tuple[int, int, str]:
        """Tells whether anything was written to the disk."""
        status = self.file.stat()
        with self.file.open("rb") as file:
            return status.st_mtime_ns, status.st_blocks, hashlib.sha256(file.read(2**24)).hexdigest()

    def unmount(self) -> None:
        subprocess.run(["umount", self.paths.data], check=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    file = tmp_path / "disk.img"
    file.touch()
    subprocess.run(["truncate", "-s", str(GB), file], check=True)
    attached = subprocess.run(["losetup", "-f", "--show", file], capture_output=True, text=True, check=False)
    if attached.returncode:
        pytest.skip("no loop devices on this machine")
    device = attached.stdout.strip()
    # The machine that runs the tests may have a kernel without XFS quotas; nodes have them.
    monkeypatch.setattr(mount, "OPTIONS", mount.OPTIONS.removesuffix(",uqnoenforce"))
    found = Disk(tmp_path, device)
    stand_in = nodes.Services(found.paths, system.run)
    monkeypatch.setattr(system, "run", stand_in.run)
    monkeypatch.setattr("storage_node.packages.settle", lambda *_: None)
    monkeypatch.setattr("storage_node.packages.require_restic", lambda _: None)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    try:
        yield found
    finally:
        subprocess.run(["umount", "-q", found.paths.data], check=False)
        subprocess.run(["losetup", "-d", device], check=True)
        subprocess.run(["chattr", "-i", found.paths.data], check=False)


def test_a_blank_disk_becomes_the_shared_directory(disk: Disk) -> None:
    done = disk.configure()
    assert done["formatted"]
    assert not done["grown"]
    assert done["sizeBytes"] == GB
    assert disk.paths.data.stat().st_mode & 0o7777 == 0o711
    assert mount.mounted_at(disk.paths.data) is not None
    assert disk.paths.program.stat().st_mode & 0o7777 == 0o755


def test_a_second_run_changes_nothing(disk: Disk) -> None:
    disk.configure()
    (disk.paths.data / "kept").touch()
    done = disk.configure()
    assert (done["formatted"], done["grown"], done["installed"]) == (False, False, False)
    assert (disk.paths.data / "kept").exists()


def test_an_unmounted_disk_of_ours_is_mounted_again_with_its_data(disk: Disk) -> None:
    disk.configure()
    (disk.paths.data / "kept").touch()
    disk.unmount()
    assert not disk.configure()["formatted"]
    assert (disk.paths.data / "kept").exists()


def test_nothing_can_be_written_below_the_unmounted_disk(disk: Disk) -> None:
    disk.configure()
    disk.unmount()
    with pytest.raises(OSError, match="not permitted"):
        (disk.paths.data / "stray").touch()


def test_a_grown_disk_grows_the_file_system(disk: Disk) -> None:
    disk.configure()
    disk.resize(1.5)
    assert disk.configure()["grown"]
    assert not disk.configure()["grown"]


def test_a_disk_that_is_smaller_than_asked_is_an_error(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage_node.disk.GROWTH_WAIT_SECONDS", 0.1)
    with pytest.raises(NodeError, match="less than the 2 GB of sizeGb"):
        disk.configure(sizeGb=2)


@pytest.mark.parametrize("maker", [["mkfs.ext4", "-q", "-F"], ["mkfs.xfs", "-q", "-f"], ["mkswap"]])
def test_a_disk_with_foreign_data_is_refused_and_left_untouched(disk: Disk, maker: list[str]) -> None:
    subprocess.run([*maker, disk.device], check=True, capture_output=True)
    before = disk.fingerprint()
    with pytest.raises(NodeError, match=r"already holds an? .*; it was left untouched"):
        disk.configure()
    assert disk.fingerprint() == before


@pytest.mark.parametrize("offset", [4096, GB - 4096])
def test_bytes_without_a_signature_are_somebodys_data(disk: Disk, offset: int) -> None:
    with disk.file.open("r+b") as file:
        file.seek(offset)
        file.write(b"precious")
    with pytest.raises(NodeError, match="data without a known signature"):
        disk.configure()


def test_an_interrupted_format_of_ours_is_begun_again(disk: Disk) -> None:
    subprocess.run(["mkfs.xfs", "-q", "-m", f"uuid={UUID}", disk.device], check=True)
    with disk.file.open("r+b") as file:
        file.seek(126)
        file.write(b"\x01")
    assert disk.configure()["formatted"]


def test_another_node_s_file_system_is_foreign(disk: Disk) -> None:
    subprocess.run(["mkfs.xfs", "-q", "-m", f"uuid={UUID[:-1]}2", disk.device], check=True)
    with pytest.raises(NodeError, match="UUID 0b6ae2ff-0000-4000-8000-000000000002"):
        disk.configure()


def test_files_beneath_the_mountpoint_are_not_hidden(disk: Disk) -> None:
    disk.paths.data.mkdir(parents=True)
    (disk.paths.data / "stray").touch()
    with pytest.raises(NodeError, match="is not empty"):
        disk.configure()
    assert (disk.paths.data / "stray").exists()


def test_a_device_that_never_comes_is_named(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage_node.disk.DEVICE_WAIT_SECONDS", 0.1)
    with pytest.raises(NodeError, match="virtio-other is not there; it was waited for"):
        disk.configure(device="/dev/disk/by-id/virtio-other")


def test_the_administrator_is_not_shut_out(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 10.0.0.1 22")
    with pytest.raises(NodeError, match=r"would shut out .* comes from 192\.0\.2\.7"):
        disk.configure()


def test_the_unpacked_program_belongs_to_the_installed_file(disk: Disk) -> None:
    disk.configure()
    unpacked = disk.paths.library / library.name(disk.paths.program)
    assert (unpacked / "storage_node" / "commands.py").is_file()
    with zipfile.ZipFile(disk.program, "a") as archive:
        archive.writestr("storage_node/more.py", "")
    disk.configure()
    assert not unpacked.exists()
