"""The look at a machine that exists already: what is found, and that nothing is touched."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from storage_node import node, survey
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.storage_node import nodes

pytestmark = pytest.mark.hosts

DEVICE = "/dev/disk/by-id/virtio-data"
FROM_OPERATOR = "10.0.2.2 51000 10.0.2.15 22"

WANTED: dict[str, Any] = {
    "stack": "dev",
    "name": "dev-storage-1",
    "device": DEVICE,
    "filesystem": "0b6ae2ff-0000-4000-8000-000000000001",
    "sizeGb": 5,
    "ssh": ["10.0.2.2"],
}


@pytest.fixture
def device(paths: Paths) -> Path:
    """A blank disk of 5 GB, as a sparse file."""
    file = paths.at(DEVICE)
    file.parent.mkdir(parents=True)
    with file.open("wb") as disk:
        disk.truncate(5 * 10**9)
    return file


def problems(paths: Paths, connection: str | None = FROM_OPERATOR, **changed: Any) -> list[str]:
    return survey.problems(paths, survey.wanted({**WANTED, **changed}), connection)


def test_a_blank_machine_has_no_problem(paths: Paths, device: Path) -> None:
    assert problems(paths) == []


def test_this_very_node_has_no_problem(paths: Paths, device: Path) -> None:
    subprocess.run(["mkfs.xfs", "-q", "-m", f"uuid={WANTED['filesystem']}", device], check=True)
    node.store(paths, nodes.configure_spec())
    assert problems(paths) == []


def test_a_disk_that_holds_data_is_named_with_what_it_holds_and_left_as_it_is(paths: Paths, device: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "photos", device], check=True)
    before = _head(device)
    (text,) = problems(paths)
    assert f"The data disk {DEVICE} already holds a ext4 file system labelled 'photos'" in text
    assert f"wipefs -a {DEVICE}" in text
    assert _head(device) == before


def test_a_disk_that_is_not_there_is_answered_with_those_that_are(paths: Paths, device: Path) -> None:
    device.rename(device.with_name("nvme-other"))
    device.with_name("nvme-other-part1").touch()
    assert problems(paths) == [f"It has no disk {DEVICE}; /dev/disk/by-id has nvme-other."]


def test_a_disk_that_is_too_small_is_refused(paths: Paths, device: Path) -> None:
    assert problems(paths, sizeGb=6) == [f"Its data disk {DEVICE} has 5.0 GB, less than the 6 GB of sizeGb."]


def test_an_operator_who_would_be_shut_out_is_told(paths: Paths, device: Path) -> None:
    (text,) = problems(paths, "192.0.2.1 51000 10.0.2.15 22")
    assert "this SSH session comes from 192.0.2.1, and only 10.0.2.2/32 would be let in" in text


def test_an_ssh_server_on_another_port_would_be_behind_the_firewall(paths: Paths, device: Path) -> None:
    (text,) = problems(paths, "10.0.2.2 51000 10.0.2.15 2200")
    assert text.startswith("Its SSH server listens on port 2200")


@pytest.mark.parametrize("other", [{"stack": "prod"}, {"name": "storage-2"}])
def test_a_node_of_another_stack_is_not_taken_over(paths: Paths, device: Path, other: dict[str, str]) -> None:
    node.store(paths, nodes.configure_spec(**other))
    (text,) = problems(paths)
    assert text.startswith(f"It is {other.get('name', 'dev-storage-1')} of stack {other.get('stack', 'dev')} already")


def test_all_problems_are_told_at_once_and_nothing_is_written(paths: Paths, device: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-F", device], check=True)
    node.store(paths, nodes.configure_spec(stack="prod"))
    before = sorted(paths.root.rglob("*"))
    assert len(problems(paths, "192.0.2.1 51000 10.0.2.15 2200", sizeGb=9)) == 5
    assert sorted(paths.root.rglob("*")) == before


def test_what_the_specification_lacks_is_named() -> None:
    with pytest.raises(NodeError, match=r"^filesystem in the specification is missing\.$"):
        survey.wanted({key: value for key, value in WANTED.items() if key != "filesystem"})


def _head(file: Path) -> str:
    with file.open("rb") as disk:
        return hashlib.sha256(disk.read(8 << 20)).hexdigest()
