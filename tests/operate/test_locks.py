"""Locks of killed engines are released, all others stay."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from operate import locks

pytestmark = pytest.mark.operate


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file backend keeps the locks of stack prod, in a directory with a space in its name."""
    backend = tmp_path / "a backend"
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{backend}")
    directory = backend / ".pulumi/locks/organization/backup-storage/prod"
    directory.mkdir(parents=True)
    return directory


def lock(place: Path, pid: int, hostname: str) -> Path:
    path = place / f"{pid}-{hostname}.json"
    path.write_text(json.dumps({"pid": pid, "hostname": hostname, "username": "root"}), encoding="utf-8")
    return path


def ended() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lock_of_a_process_that_ended_is_released(place: Path) -> None:
    pid = ended()
    path = lock(place, pid, platform.node())
    assert locks.release_dead("prod") == [pid]
    assert not path.exists()


def test_the_lock_of_another_computer_stays(place: Path) -> None:
    path = lock(place, ended(), "elsewhere")
    assert locks.release_dead("prod") == []
    assert path.exists()


def test_the_lock_of_an_engine_that_runs_stays(place: Path, tmp_path: Path) -> None:
    engine = tmp_path / "pulumi"
    engine.symlink_to("/bin/sleep")
    with subprocess.Popen([engine, "60"]) as running:
        path = lock(place, running.pid, platform.node())
        assert locks.release_dead("prod") == []
        assert path.exists()
        running.kill()


def test_a_number_that_has_passed_on_to_another_program_holds_nothing(place: Path) -> None:
    path = lock(place, os.getpid(), platform.node())
    assert locks.release_dead("prod") == [os.getpid()]
    assert not path.exists()


def test_the_locks_of_other_stacks_stay(place: Path) -> None:
    path = lock(place, ended(), platform.node())
    assert locks.release_dead("dev") == []
    assert path.exists()


def test_other_backends_have_no_such_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    assert locks.release_dead("prod") == []
