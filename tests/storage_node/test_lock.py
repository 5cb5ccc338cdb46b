"""One changing step at a time, on a node and among the members of a cluster."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storage_node import lock
from storage_node.errors import NodeError
from storage_node.paths import Paths


def test_a_second_step_waits_and_then_says_who_is_at_work(paths: Paths) -> None:
    with (
        lock.exclusive(paths.lock),
        pytest.raises(NodeError, match=r"Another storage-node step \(process \d+\)"),
        lock.exclusive(paths.lock, wait_seconds=0.05),
    ):
        pass
    with lock.exclusive(paths.lock, wait_seconds=0.05):
        pass


def test_the_cluster_s_lock_is_waited_for_while_another_process_has_it(paths: Paths) -> None:
    with lock.among_members(paths, None):
        pass
    take = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    line = [sys.executable, "-c", take, str(paths.members_lock)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        words = "Another node is at work on the repositories; it was waited for"
        with pytest.raises(NodeError, match=words), lock.among_members(paths, "storage-1", 0.05):
            pass
        other.stdin.close()
    with lock.among_members(paths, "storage-1", 0.05):
        pass


def test_only_one_member_makes_the_cluster_s_lock(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "MADE_SECONDS", 0.0)
    paths.data.mkdir(parents=True, exist_ok=True)
    words = "storage-1 has not begun with the repositories yet; .*; see what storage-1 says"
    with pytest.raises(NodeError, match=words), lock.among_members(paths, "storage-1"):
        pass
    assert list(paths.data.iterdir()) == []
    with lock.among_members(paths, None):
        pass
    with lock.among_members(paths, "storage-1"):
        assert paths.members_lock.stat().st_mode & 0o777 == 0o600


def test_the_cluster_s_lock_is_whole_when_others_first_see_its_directory(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before, nothing is there that they could ask for; the next run finishes it and leaves nothing beside."""
    paths.data.mkdir(parents=True, exist_ok=True)
    name = paths.members_lock.parent.name
    with monkeypatch.context() as cut:
        made = Path.mkdir

        def mkdir(self: Path, *arguments: Any, **options: Any) -> None:
            assert self != paths.members_lock.parent
            made(self, *arguments, **options)

        def rename(self: Path, target: Path) -> Path:
            assert (self / paths.members_lock.name).exists()
            raise OSError(errno.ENOTCONN, f"cut off before it became {target.name}")

        cut.setattr(Path, "mkdir", mkdir)
        cut.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match=f"before it became {name}"), lock.among_members(paths, None):
            pass
    assert not paths.members_lock.parent.exists()
    with lock.among_members(paths, None):
        assert [path.name for path in paths.data.iterdir()] == [name]
        assert paths.members_lock.parent.stat().st_mode & 0o777 == 0o700


def test_the_lock_is_held_until_an_orphaned_child_has_ended(paths: Paths) -> None:
    """A killed step's restic goes on; the next step must not meet it half way."""
    with lock.exclusive(paths.lock):
        child = subprocess.Popen(["sleep", "60"], pass_fds=lock.held_descriptors())
    try:
        with pytest.raises(NodeError, match="Another storage-node step"), lock.exclusive(paths.lock, 0.05):
            pass
    finally:
        child.kill()
        child.wait()
    with lock.exclusive(paths.lock, 1):
        pass
