"""Which stacks a workflow looks at."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from operate.report.stacks import main, shared, touched
from tests.project import SOURCE

pytestmark = pytest.mark.review


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of two shared stacks and of two that live on one computer, committed on main."""
    for stack, platform in (("prod", "aws"), ("eu.test", '"hosts"'), ("dev", "local")):
        text = f"config:\n  backup-storage:platform: {platform}\n"
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "Pulumi.silent.yaml").write_text("config: {}\n", encoding="utf-8")
    (tmp_path / "plan").mkdir()
    (tmp_path / "README.md").write_text("hello\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    commit()
    git("branch", "base")
    return tmp_path


def git(*arguments: str) -> None:
    identity = {f"GIT_{role}_{part}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], check=True, env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull})


def commit() -> None:
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message=change")


def test_stacks_of_one_computer_are_no_workflows_business(checkout: Path) -> None:
    assert shared(checkout) == ["eu.test", "prod"]


@pytest.mark.parametrize(
    ("paths", "stacks"),
    [
        (["Pulumi.prod.yaml"], ["prod"]),
        (["Pulumi.prod.yaml", "README.md"], ["prod"]),
        (["storage_node/status.py"], ["eu.test", "prod"]),
        (["Pulumi.yaml"], ["eu.test", "prod"]),
        (["docs/operations.md", "tests/plan/test_addon.py", "Pulumi.dev.yaml"], []),
        ([], []),
    ],
)
def test_settings_touch_their_stack_and_the_program_touches_all(paths: list[str], stacks: list[str]) -> None:
    assert touched(["eu.test", "prod"], paths) == stacks


def test_only_what_the_branch_itself_changed_counts(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("switch", "--quiet", "--create", "feature")
    with (checkout / "Pulumi.prod.yaml").open("a", encoding="utf-8") as file:
        file.write("  backup-storage:sizeGb: 20\n")
    commit()
    git("switch", "--quiet", "base")
    (checkout / "plan/settings.py").write_text("", encoding="utf-8")
    commit()
    git("switch", "--quiet", "feature")
    assert main(["--base", "base"]) == 0
    assert json.loads(capsys.readouterr().out) == ["prod"]


def test_the_outputs_of_a_step_share_one_comment_among_the_stacks(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--github"]) == 0
    assert capsys.readouterr().out == 'stacks=["eu.test", "prod"]\nlimit=32500\n'


def test_an_unknown_base_is_an_error_and_no_empty_list(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", "0" * 40]) == 1
    assert "git cannot compare with 0000" in capsys.readouterr().err


def test_the_job_that_asks_needs_nothing_but_python() -> None:
    done = subprocess.run(
        ["python3", "-I", "-S", "-c", "import sys; sys.path[0:0] = ['.']; from operate.report import stacks, github"],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
