"""`preview-report`: its exit status, and what it asks of the engine. The engine is a program that plays a recording."""

from pathlib import Path

import pytest

from operate.__main__ import main
from tests.operate.report.golden import expected, recorded

pytestmark = pytest.mark.review


class Engine:
    """A `pulumi` on PATH that prints a recording and remembers its arguments."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def plays(self, text: str, status: int = 0, error: str = "") -> None:
        (self.directory / "recording").write_text(text, encoding="utf-8")
        (self.directory / "error").write_text(error, encoding="utf-8")
        program = self.directory / "pulumi"
        program.write_text(
            f'#!/bin/sh\ncd "{self.directory}"\necho "$@" >arguments\ncat error >&2\ncat recording\nexit {status}\n',
            encoding="utf-8",
        )
        program.chmod(0o755)

    @property
    def arguments(self) -> str:
        return (self.directory / "arguments").read_text(encoding="utf-8").strip()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Engine(tmp_path)


def test_a_harmless_change_is_reported_with_status_0(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.plays(recorded("disk-grown"))
    assert main(["--stack", "test", "preview-report"]) == 0
    assert capsys.readouterr().out == expected("disk-grown").read_text(encoding="utf-8")
    assert engine.arguments == "preview --stack test --json --show-sames --non-interactive"


def test_a_dangerous_change_is_reported_with_status_2_unless_it_is_allowed(engine: Engine) -> None:
    engine.plays(recorded("machine-replaced"))
    assert main(["--stack", "test", "preview-report"]) == 2
    assert main(["--stack", "test", "preview-report", "--allowed"]) == 0


def test_a_failed_preview_is_reported_with_status_1(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.plays(recorded("settings-refused"), status=1)
    assert main(["--stack", "test", "preview-report", "--allowed"]) == 1
    assert "backup-storage:sizeGb is 1; it must be 5 or more." in capsys.readouterr().out


def test_an_engine_that_gives_nothing_leaves_no_report(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.plays("", status=255, error="error: no stack named 'test' found")
    assert main(["--stack", "test", "preview-report"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "no stack named 'test' found" in said.err


def test_drift_is_looked_for_in_the_real_resources(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.plays(recorded("drift-machine-off"), status=7)
    assert main(["--stack", "test", "preview-report", "--drift"]) == 3
    assert capsys.readouterr().out.startswith("### Drift of stack `test`")
    assert engine.arguments.endswith("--refresh --expect-no-changes")
    engine.plays(recorded("drift-nothing"))
    assert main(["--stack", "test", "preview-report", "--drift"]) == 0


def test_further_arguments_reach_the_engine(engine: Engine) -> None:
    engine.plays(recorded("nothing"))
    assert main(["--stack", "test", "preview-report", "--", "--save-plan", "a plan"]) == 0
    assert engine.arguments.endswith("--save-plan a plan")


def test_a_limit_that_leaves_no_room_is_refused(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stack", "test", "preview-report", "--limit", "100"]) == 1
    assert "A report needs 4000 characters or more; the limit is 100." in capsys.readouterr().err
