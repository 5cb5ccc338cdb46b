"""A brick whose process dies is started again, and only then."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_node.cluster import gluster, watch
from storage_node.cluster.gluster import Volume
from storage_node.errors import NodeError
from storage_node.paths import Paths

pytestmark = pytest.mark.cluster

STARTED = Volume(True, "replicated", 0, (), {})

Start = Callable[[str], "subprocess.Popen[bytes]"]


class Stop(Exception):  # noqa: N818 - ends an endless loop, and is no error
    """Ends the watch."""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "run/gluster/vols/data").mkdir(parents=True)
    return Paths(root=tmp_path)


@pytest.fixture
def start(tmp_path: Path, paths: Paths) -> Iterator[Start]:
    """Starts something of that name, and writes its id down where glusterd does."""
    running: list[subprocess.Popen[bytes]] = []

    def run(name: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        program.symlink_to(shutil.which("sleep") or "/bin/sleep")
        running.append(subprocess.Popen([program, "300"]))
        paths.at("/run/gluster/vols/data/10.77.0.11-brick-brick-1.pid").write_text(f"{running[-1].pid}\n")
        return running[-1]

    yield run
    for each in running:
        each.kill()
        each.wait()


def test_a_brick_is_a_process_of_its_kind_that_lives(paths: Paths, start: Start) -> None:
    running = start("glusterfsd")
    assert list(watch.brick_processes(paths)) == [running.pid]
    running.kill()
    # Not reaped yet: its entry in /proc is still there.
    watch.wait_for_end(paths)
    assert list(watch.brick_processes(paths)) == []


def test_a_number_that_has_become_anothers_is_no_brick(paths: Paths, start: Start) -> None:
    start("editor")
    assert list(watch.brick_processes(paths)) == []


def test_no_brick_yet_is_no_error(paths: Paths) -> None:
    paths.at("/run/gluster/vols/data/half.pid").write_text("")
    assert list(watch.brick_processes(paths)) == []


def test_a_brick_that_lives_is_waited_for(paths: Paths, start: Start) -> None:
    running = start("glusterfsd")
    waiting = threading.Thread(target=watch.wait_for_end, args=(paths,))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    running.kill()
    waiting.join(30)
    assert not waiting.is_alive()


def watched(paths: Paths, monkeypatch: pytest.MonkeyPatch, volume: Volume | None, looks: int = 1) -> list[str]:
    """What is asked of glusterd until the watch has looked so often."""
    asked: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if slept.count(watch.RETRY_SECONDS) >= looks:
            raise Stop

    def change(*arguments: str) -> None:
        asked.append(" ".join(arguments))
        if len(asked) == 1:
            raise NodeError("Another transaction is in progress.")

    monkeypatch.setattr("storage_node.cluster.watch.time.sleep", sleep)
    monkeypatch.setattr(gluster, "volume", lambda _: volume)
    monkeypatch.setattr(gluster, "change", change)
    with pytest.raises(Stop):
        watch.run(paths)
    return asked


def test_a_brick_that_does_not_run_is_started_until_it_does(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(paths, monkeypatch, STARTED, looks=2) == ["volume start data force"] * 2


@pytest.mark.parametrize("volume", [None, Volume(False, "replicated", 0, (), {})])
def test_a_volume_that_is_stopped_is_left_so(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, volume: Volume | None
) -> None:
    assert watched(paths, monkeypatch, volume) == []
