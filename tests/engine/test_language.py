"""The Python language host and dynamic resources: how a program runs, and how its errors show."""

from __future__ import annotations

import sys
import time
from typing import Any

import psutil
import pytest

from tests.engine.conftest import MakeStack
from tests.engine.stack import Result, Stack

pytestmark = pytest.mark.engine

PROGRAM = """
    import os
    import sys
    import helper
    from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

    class Provider(ResourceProvider):
        def create(self, props):
            return CreateResult("made-1", {**props, "double": props["value"] * 2})

        def diff(self, id, old, new):
            return DiffResult(changes=old["value"] != new["value"])

        def update(self, id, old, new):
            return UpdateResult({**new, "double": helper.double(new["value"])})

        def delete(self, id, props):
            if props["value"] == 13:
                raise RuntimeError("13 cannot be deleted")

    class Doubled(Resource):
        double: pulumi.Output[int]

        def __init__(self, name, value):
            super().__init__(Provider(), name, {"value": value, "double": None})

    config = pulumi.Config()
    made = Doubled("doubled", settings["value"])
    print("a line from the program")
    pulumi.export("double", made.double)
    pulumi.export("word", config.require("word"))
    pulumi.export("hidden", config.require_secret("hidden"))
    pulumi.export("python", sys.prefix)
    pulumi.export("where", os.getcwd())
    pulumi.export("names", [pulumi.get_project(), pulumi.get_stack(), str(pulumi.runtime.is_dry_run())])
"""


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    stack = make_stack()
    (stack.directory / "helper.py").write_text("def double(value):\n    return value * 2\n")
    stack.program(PROGRAM)
    stack.settings(value=21)
    stack.pulumi("config", "set", "word", "plain")
    stack.pulumi("config", "set", "--secret", "hidden", "covered")
    return stack


@pytest.fixture(scope="module")
def first(stack: Stack) -> Result:
    return stack.up()


@pytest.fixture(scope="module")
def outputs(stack: Stack, first: Result) -> dict[str, Any]:
    return stack.outputs()


def test_a_clean_run_warns_of_nothing(first: Result) -> None:
    assert "warning" not in first.text.lower()
    assert "$PATH" not in first.text


def test_what_the_program_prints_is_shown(first: Result) -> None:
    assert "a line from the program" in first.text


def test_the_program_runs_in_its_directory_with_the_projects_interpreter(stack: Stack, outputs: dict[str, Any]) -> None:
    assert outputs["python"] == sys.prefix
    assert outputs["where"] == str(stack.directory)
    assert outputs["names"] == ["contract", "test", "False"]


def test_configuration_reaches_the_program_and_secrets_stay_secret(first: Result, outputs: dict[str, Any]) -> None:
    assert (outputs["word"], outputs["hidden"]) == ("plain", "covered")
    assert "covered" not in first.text


def test_a_dynamic_resource_lives_and_changes(stack: Stack, outputs: dict[str, Any]) -> None:
    assert outputs["double"] == 42
    stack.settings(value=13)
    assert stack.planned()["doubled"]["op"] == "update"
    stack.up()
    assert stack.outputs()["double"] == 26


def test_a_dynamic_resources_error_is_shown_and_mended(stack: Stack, outputs: dict[str, Any]) -> None:
    failed = stack.destroy(check=False)
    assert failed.status != 0
    assert "13 cannot be deleted" in failed.text
    stack.settings(value=14)
    stack.up()
    stack.destroy()


FAILURES = {
    "raise": ('def inner():\n    raise ValueError("no good")\n\n\ninner()\n', "ValueError: no good", "in inner"),
    "sentence": ('raise pulumi.RunError("say it plainly")\n', "error: say it plainly", ""),
    "syntax": ("this is no python\n", "SyntaxError", ""),
    "exit": ("import sys\nsys.exit(9)\n", "exit", "9"),
    "apply": (
        "pulumi.Output.from_input(1).apply(lambda one: one / 0)\n",
        "ZeroDivisionError: division by zero",
        "",
    ),
}


@pytest.fixture(scope="module")
def broken(make_stack: MakeStack) -> Stack:
    return make_stack()


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_program_fails_the_preview_and_says_why(broken: Stack, name: str) -> None:
    program, message, more = FAILURES[name]
    broken.program("")
    with (broken.directory / "__main__.py").open("a") as file:
        file.write(program)
    failed = broken.pulumi("preview", check=False)
    assert failed.status != 0
    assert message in failed.text
    assert more in failed.text
    if name == "raise":
        assert str(broken.directory / "__main__.py") in failed.text
        assert "runpy" not in failed.text


def test_nothing_stays_behind_when_the_engine_is_killed(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.program("""
        from pulumi.dynamic import CreateResult, Resource, ResourceProvider

        class Slow(ResourceProvider):
            def create(self, props):
                import time
                Path("started").touch()
                time.sleep(600)
                return CreateResult("never", props)

        class Sleeper(Resource):
            def __init__(self, name):
                super().__init__(Slow(), name, {})

        random.RandomPassword("password", length=8)
        local.Command("waiting", create="sleep 600")
        Sleeper("sleeper")
    """)
    started = stack.directory / "started"
    with stack.running("up", "--yes", "--skip-preview") as running:
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        plugins = psutil.Process(running.pid).children(recursive=True)
        running.kill()
        running.wait()
        _, alive = psutil.wait_procs(plugins, timeout=10)
    assert started.exists()
    assert len(plugins) >= 4
    assert alive == []


def test_a_named_virtual_environment_that_is_missing_is_said(make_stack: MakeStack) -> None:
    stack = make_stack()
    project = stack.directory / "Pulumi.yaml"
    project.write_text(project.read_text().replace(sys.prefix, "not-there"))
    stack.program("")
    failed = stack.pulumi("preview", check=False)
    assert failed.status != 0
    assert "not-there" in failed.text
