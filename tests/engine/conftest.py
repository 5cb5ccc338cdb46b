"""Engine, stacks and an SSH server for the contract tests.

The tests state what the plugins do, and run the real engine against whichever plugins are there: the real ones, or
the offline stand-ins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.__main__ import install
from engine.home import user_home
from tests.engine.ssh_server import Loop, Server, refuse_other_variables, serving
from tests.engine.stack import Stack

MakeStack = Callable[[], Stack]


@pytest.fixture(scope="session")
def engine_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that `python -m engine env` would set, with a Pulumi home of the tests' own around the plugins."""
    found = install(lambda text: print(text, file=sys.stderr))
    variables = {name: value for name, value in found.items() if value is not None}
    if "PATH" in variables:
        variables["PATH"] += os.pathsep + os.environ["PATH"]
    plugins = Path(variables.get("PULUMI_HOME") or user_home()) / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    home = tmp_path_factory.mktemp("pulumi home")
    (home / "plugins").symlink_to(plugins)
    return variables | {"PULUMI_HOME": str(home)}


@pytest.fixture(scope="module")
def make_stack(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """Makes stacks that end with the module."""
    yield lambda: Stack(tmp_path_factory.mktemp("a stack"), engine_environment)


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ssh(loop: Loop) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as monkeypatch, serving(loop, Server()) as server:
        refuse_other_variables(monkeypatch)
        yield server
