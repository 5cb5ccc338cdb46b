"""The program as it is shipped: one file, run by Python, that installs and knows itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import storage_node
from storage_node import cli, install, library, lock
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.storage_node import nodes


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "incoming.pyz"
    nodes.pack(file)
    return file


def _run(program: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-IS", str(program), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        ("", "stdin does not hold one JSON object"),
        ("[1]", "stdin does not hold one JSON object"),
        ("{}", "environments in the specification has to be an object"),
    ],
)
def test_a_wrong_specification_is_one_sentence_and_a_status(program: Path, stdin: str, sentence: str) -> None:
    done = _run(program, "environments", stdin=stdin)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


def test_another_version_than_the_stack_s_is_refused(program: Path) -> None:
    spec = '{"program": "%s", "dataPath": "/data", "environments": {}}'
    done = _run(program, "environments", stdin=spec % ("0" * 64))
    assert done.returncode == 1
    assert "run `pulumi up`" in done.stderr


def test_a_secret_in_a_wrong_specification_is_not_repeated(program: Path) -> None:
    digest = install.digest(program)
    for password in ("short-secret!", "secret-with-a\\nbreak-in-it-somewhere"):
        stdin = (
            f'{{"program": "{digest}", "dataPath": "/data", "environments": {{"shop": {{"password": "{password}"}}}}}}'
        )
        done = _run(program, "environments", stdin=stdin)
        assert done.returncode == 1
        assert "environments.shop.password has to be" in done.stderr
        assert "secret" not in done.stderr


def test_misuse_has_its_own_status(program: Path) -> None:
    assert _run(program, "nonsense").returncode == 2
    assert _run(program).returncode == 2


def test_the_library_is_used_and_only_by_its_own_program(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "lib"
    place.mkdir()
    path = list(storage_node.__path__)
    monkeypatch.setattr(storage_node, "__path__", path)
    library.use(program, place)
    assert len(path) == 1
    library.use(program, place, unpack_now=True)
    assert path[0] == str(place / library.name(program) / "storage_node")
    program.write_bytes(program.read_bytes() + b"changed")
    del path[0]
    library.use(program, place)
    assert len(path) == 1


def test_a_library_cut_off_while_unpacking_is_unpacked_again(program: Path, paths: Paths) -> None:
    (paths.library / ".new-1").mkdir(parents=True)
    install.install(paths, program)
    assert [p.name for p in paths.library.iterdir()] == [library.name(paths.program)]
    assert install.digest(paths.program) == install.digest(program)
    assert not install.install(paths, program)


def test_the_add_on_s_scripts_are_there(program: Path, paths: Paths) -> None:
    install.install(paths, program)
    script = paths.at("/root/getBackups.sh")
    assert script.stat().st_mode & 0o777 == 0o700
    assert 'catalogue one "$@"' in script.read_text()


def test_running_from_the_sources_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["catalogue", "one", "no/name"]) == 3
    assert capsys.readouterr().out.startswith('{"result": 3, "error": ')


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
