"""A Pulumi project with one stack in a directory of its own, driven by the real command-line program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 120
IMPORTS = """\
import json
from pathlib import Path
import pulumi
import pulumi_random as random
import pulumi_tls as tls
from pulumi import ResourceOptions
from pulumi_command import local, remote
settings = json.loads(Path("settings.json").read_text())
"""


@dataclass(frozen=True)
class Result:
    """What a command left: its status, and stdout and stderr as one text."""

    status: int
    text: str


class Stack:
    """One project and its stack `test`, with state in files beside it."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory / "project"
        self.directory.mkdir(parents=True)
        state = directory / "state"
        state.mkdir()
        self._environment = environment | {
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "correct horse battery staple",
            "PYTHONWARNINGS": "ignore::DeprecationWarning:pulumi_command",
            # As where nobody has set it.
            "PYTHONUNBUFFERED": "",
        }
        runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
        (self.directory / "Pulumi.yaml").write_text(json.dumps({"name": "contract", "runtime": runtime}))
        self.settings()
        self.pulumi("stack", "init", "test")

    def program(self, text: str) -> None:
        """The program from now on; the usual imports come before it."""
        (self.directory / "__main__.py").write_text(IMPORTS + textwrap.dedent(text))

    def settings(self, **values: Any) -> None:
        """What the program finds in `settings`."""
        (self.directory / "settings.json").write_text(json.dumps(values))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command, in a process group of its own."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.directory,
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs meanwhile; it is ended with the `with`, whatever happens."""
        with self.start(*arguments) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def pulumi(self, *arguments: str, check: bool = True) -> Result:
        """Run a command to its end."""
        with self.start(*arguments) as process:
            text, _ = process.communicate(timeout=SECONDS)
        if check and process.returncode:
            raise AssertionError(f"pulumi {' '.join(arguments)} ended with {process.returncode}:\n{text}")
        return Result(process.returncode, text)

    def up(self, *arguments: str, check: bool = True) -> Result:
        """`pulumi up`."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, check=check)

    def destroy(self, check: bool = True) -> Result:
        """`pulumi destroy`."""
        return self.pulumi("destroy", "--yes", "--skip-preview", check=check)

    def refresh(self) -> Result:
        """`pulumi refresh`."""
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def planned(self) -> dict[str, dict[str, Any]]:
        """What a preview would do, by resource name: `op`, and the changed paths in `detailedDiff`."""
        done = subprocess.run(
            ["pulumi", "preview", "--json", "--non-interactive"],
            cwd=self.directory,
            env=os.environ | self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"pulumi preview ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        steps: dict[str, dict[str, Any]] = {}
        for step in json.loads(done.stdout).get("steps", []):
            name = step["urn"].rpartition("::")[2]
            # A replacement is several steps; the first one names what caused it.
            if step["op"] == "same" or (step["op"] in ("create-replacement", "delete-replaced") and name in steps):
                continue
            steps[name] = step | {"paths": step.get("detailedDiff") or {}}
        return steps

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets included."""
        return dict(json.loads(self.pulumi("stack", "output", "--json", "--show-secrets").text))

    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources in the state, by name, as they are stored."""
        deployment = json.loads(self.pulumi("stack", "export").text)["deployment"]
        return {item["urn"].rpartition("::")[2]: item for item in deployment.get("resources", [])}
