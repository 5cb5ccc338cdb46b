"""The program as it is shipped: one file, run by Python, that installs and knows itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import storage_node
from storage_node import cli, install, library
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
