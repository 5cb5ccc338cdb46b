"""Telling a machine's process from every other one."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from components.qemu import process

pytestmark = pytest.mark.local

Start = Callable[[Path, str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program under this name in a directory; it does nothing."""
    started: list[subprocess.Popen[bytes]] = []

    def run(directory: Path, name: str) -> subprocess.Popen[bytes]:
        directory.mkdir(parents=True, exist_ok=True)
        program = tmp_path / name
        if not program.exists():
            program.symlink_to(shutil.which("sleep") or "/bin/sleep")
        started.append(subprocess.Popen([program, "300"], cwd=directory))
        # Popen returns while the kernel is still exchanging the program: for a moment it has no command line.
        while not psutil.Process(started[-1].pid).cmdline():
            time.sleep(0.01)
        return started[-1]

    yield run
    for each in started:
        each.kill()
        each.wait()


def test_a_machine_is_found_by_where_its_process_works(start: Start, tmp_path: Path) -> None:
    ours, other = tmp_path / "a machine", tmp_path / "another"
    running = start(ours, process.QEMU)
    other.mkdir()
    found = process.find(ours, process.QEMU)
    assert found is not None
    assert found.pid == running.pid
    assert process.find(other, process.QEMU) is None


def test_another_program_in_the_directory_is_not_the_machine(start: Start, tmp_path: Path) -> None:
    start(tmp_path / "machine", "editor")
    assert process.find(tmp_path / "machine", process.QEMU) is None


def test_a_stale_process_id_file_is_not_believed(start: Start, tmp_path: Path) -> None:
    stranger = start(tmp_path / "elsewhere", process.QEMU)
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "qemu.pid").write_text(f"{stranger.pid}\n")
    assert process.find(tmp_path / "machine", process.QEMU) is None


def test_a_machine_is_found_after_its_project_was_moved(start: Start, tmp_path: Path) -> None:
    start(tmp_path / "old" / "machine", process.QEMU)
    (tmp_path / "old").rename(tmp_path / "new")
    assert process.find(tmp_path / "new" / "machine", process.QEMU) is not None


def test_a_machine_whose_directory_was_removed_is_still_found(start: Start, tmp_path: Path) -> None:
    start(tmp_path / "machine", process.QEMU)
    shutil.rmtree(tmp_path / "machine")
    assert process.find(tmp_path / "machine", process.QEMU) is not None


def test_ending_returns_when_the_process_has_ended(start: Start, tmp_path: Path) -> None:
    start(tmp_path / "machine", process.QEMU)
    found = process.find(tmp_path / "machine", process.QEMU)
    assert found is not None
    process.end(found)
    assert process.find(tmp_path / "machine", process.QEMU) is None


def test_a_process_that_waits_to_be_reaped_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert process.wait_gone(psutil.Process(child.pid), 30.0)
    child.wait()
