"""A brick or self-heal daemon that dies is started again, and only then."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_node.cluster import gluster, healer, watch
from storage_node.cluster.gluster import Volume
from storage_node.errors import NodeError
from storage_node.paths import Paths

pytestmark = pytest.mark.cluster

STARTED = Volume(True, "replicated", 0, (), {})

Start = Callable[[str, str], "subprocess.Popen[bytes]"]

BRICK = "vols/data/10.77.0.11-brick-brick-1.pid"
HEALER = "shd/data/data-shd.pid"


class Stop(Exception):  # noqa: N818 - ends an endless loop, and is no error
    """Ends the watch."""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(healer, "runs_here", lambda _: True)
    (tmp_path / "proc").symlink_to("/proc")
    for directory in ("vols", "shd"):
        (tmp_path / "run/gluster" / directory / "data").mkdir(parents=True)
    return Paths(root=tmp_path)


@pytest.fixture
def start(tmp_path: Path, paths: Paths) -> Iterator[Start]:
    """Starts something of that name, and writes its id down where glusterd does."""
    running: list[subprocess.Popen[bytes]] = []

    def run(file: str, name: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        program.symlink_to(shutil.which("sleep") or "/bin/sleep")
        running.append(subprocess.Popen([program, "300"]))
        paths.at(f"/run/gluster/{file}").write_text(f"{running[-1].pid}\n")
        return running[-1]

    yield run
    for each in running:
        each.kill()
        each.wait()


def test_a_process_is_one_of_its_kind_that_lives(paths: Paths, start: Start) -> None:
    brick, healer = start(BRICK, "glusterfsd"), start(HEALER, "glusterfs")
    assert watch.processes(paths) == {"brick": brick.pid, "self-heal daemon": healer.pid}
    brick.kill()
    # Not reaped yet: its entry in /proc is still there.
    watch.wait_for_end(paths, lambda _: None)
    assert watch.processes(paths) == {"self-heal daemon": healer.pid}


def test_a_number_that_has_become_anothers_is_none_of_them(paths: Paths, start: Start) -> None:
    start(BRICK, "editor")
    assert watch.processes(paths) == {}


def test_nothing_there_yet_is_no_error(paths: Paths) -> None:
    paths.at("/run/gluster/vols/data/half.pid").write_text("")
    assert watch.processes(paths) == {}


@pytest.mark.parametrize("dies", [0, 1])
def test_what_lives_is_waited_for_and_its_clients_looked_at(
    paths: Paths, start: Start, dies: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    both = start(BRICK, "glusterfsd"), start(HEALER, "glusterfs")
    looked_twice, looks = threading.Event(), list[None]()

    def look(_: object) -> None:
        looks.append(None)
        if len(looks) == 2:
            looked_twice.set()
        raise NodeError("Listing the connections failed.")

    waiting = threading.Thread(target=watch.wait_for_end, args=(paths, look))
    waiting.start()
    assert looked_twice.wait(30)
    assert waiting.is_alive()
    assert "Listing the connections failed." in capsys.readouterr().err
    both[dies].kill()
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_self_heal_daemon_that_has_not_to_run_is_ended_and_not_missed(
    paths: Paths, start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brick, spare = start(BRICK, "glusterfsd"), start(HEALER, "glusterfs")
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(healer, "runs_here", lambda _: False)

    def once_it_has_ended(_: object) -> None:
        if spare.poll() is not None:
            # The member that healed is gone: now it is this one's that has to run.
            monkeypatch.setattr(healer, "runs_here", lambda _: True)

    watch.wait_for_end(paths, once_it_has_ended)
    assert (brick.poll(), spare.poll()) == (None, -signal.SIGTERM)
    assert watch.dead(paths) == ["self-heal daemon"]
    assert "This node's self-heal daemon is ended: another member's does the work.\n" in capsys.readouterr().err


def watched(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, volume: Volume | None, looks: int = 1
) -> tuple[list[str], list[float]]:
    """What is asked of glusterd until the watch has looked so often, and how long it waited between."""
    asked: list[str] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if seconds != watch.SETTLE_SECONDS:
            slept.append(seconds)
        if len(slept) >= looks:
            raise Stop

    def ask(*arguments: str) -> None:
        asked.append(" ".join(arguments))
        if len(asked) == 1:
            raise NodeError("Another transaction is in progress.")

    monkeypatch.setattr("storage_node.cluster.watch.time.sleep", sleep)
    monkeypatch.setattr(gluster, "volume", lambda _: volume)
    monkeypatch.setattr(gluster, "ask", ask)
    with pytest.raises(Stop):
        watch.run(paths)
    return asked, slept


def test_a_brick_that_does_not_run_is_started_until_it_does(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(paths, monkeypatch, STARTED, looks=7) == (
        ["volume start data force"] * 7,
        [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0],
    )


def test_a_self_heal_daemon_that_does_not_run_is_started(
    paths: Paths, start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(BRICK, "glusterfsd")
    assert watched(paths, monkeypatch, STARTED)[0] == ["volume start data force"]
    assert capsys.readouterr().err.startswith("This node's self-heal daemon does not run; it is started.\n")


@pytest.mark.parametrize("volume", [None, Volume(False, "replicated", 0, (), {})])
def test_a_volume_that_is_stopped_is_left_so(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, volume: Volume | None
) -> None:
    assert watched(paths, monkeypatch, volume)[0] == []
