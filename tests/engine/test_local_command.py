"""local.Command and local.run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import MakeStack
from tests.engine.stack import Stack

pytestmark = pytest.mark.engine

PROGRAM = """
    made = {}
    for name, given in settings["commands"].items():
        command = local.Command(name, **given)
        made[name] = {"stdout": command.stdout, "stderr": command.stderr}
    assets = local.Command("assets", create="mkdir -p out; echo a > out/a.txt; echo b > out/b.log",
                           dir=settings["dir"], asset_paths=["out/**", "!**.log"])
    pulumi.export("assets", assets.assets.apply(lambda found: sorted(found or {})))
    pulumi.export("made", made)
    ran = local.run_output(command="cat", stdin=pulumi.Output.secret("whisper"))
    pulumi.export("ran", ran.stdout)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def commands(directory: Path, **more: dict[str, Any]) -> dict[str, Any]:
    """The settings: commands with `log` as their witness."""
    return {
        "dir": str(directory),
        "commands": {
            "plain": {"create": "echo out; echo err >&2; exit 0"},
            "piped": {"create": "wc -c", "stdin": "x" * 200_000},
            "placed": {"create": "pwd", "dir": str(directory)},
            "variable": {"create": "echo $WORD", "environment": {"WORD": "hello"}},
            "python": {"create": "print(6 * 7)", "interpreter": ["python3", "-c"]},
            "lasting": {"create": "echo created >> log", "delete": "echo deleted >> log", "dir": str(directory)},
        }
        | more,
    }


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, directory: Path) -> Stack:
    stack = make_stack()
    stack.program(PROGRAM)
    stack.settings(**commands(directory))
    stack.up()
    return stack


@pytest.fixture(scope="module")
def outputs(stack: Stack) -> dict[str, Any]:
    return stack.outputs()


def test_outputs_are_kept_apart(outputs: dict[str, Any]) -> None:
    assert outputs["made"]["plain"] == {"stdout": "out", "stderr": "err"}


def test_inputs_reach_the_command(outputs: dict[str, Any], directory: Path) -> None:
    made = {name: result["stdout"].strip() for name, result in outputs["made"].items()}
    assert made["piped"] == "200000"
    assert made["placed"] == str(directory)
    assert made["variable"] == "hello"
    assert made["python"] == "42"


def test_patterns_pick_files(outputs: dict[str, Any]) -> None:
    assert outputs["assets"] == ["out/a.txt"]


def test_a_function_runs_once_more_each_time_and_keeps_secrets(outputs: dict[str, Any]) -> None:
    assert outputs["ran"] == "whisper"


def test_a_failure_names_status_and_command_and_shows_the_output(stack: Stack, directory: Path) -> None:
    stack.settings(**commands(directory, failing={"create": "echo why; exit 5"}))
    failed = stack.up(check=False)
    assert failed.status != 0
    assert 'exit status 5: running "echo why; exit 5":\n' in failed.text
    stack.settings(**commands(directory))


def test_changed_triggers_replace_and_destroy_deletes(stack: Stack, directory: Path) -> None:
    changed = commands(directory)
    changed["commands"]["lasting"]["triggers"] = [1]
    stack.settings(**changed)
    assert stack.planned()["lasting"]["op"] == "replace"
    stack.up()
    stack.destroy()
    assert (directory / "log").read_text().split() == ["created", "created", "deleted", "deleted"]
