"""A checkout of its own for a test, used through the Makefile as a person uses it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import yaml

from demo.shell import Shell

SOURCE = Path(__file__).resolve().parent.parent

#: What a clone has and a test needs; the Python environment is shared, everything else that is made stays apart.
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".state", "__pycache__", ".*_cache", ".hypothesis")


class Project:
    """A copy of the project in ``root`` with one stack named ``test``.

    usual: the settings that stay unless a test changes them.
    """

    stack = "test"

    #: How many SSH connections the first `up` took, once that is known.
    first_connections = -1

    def __init__(self, root: Path, **usual: Any) -> None:
        self.root, self.usual = root, usual
        shutil.copytree(SOURCE, root, ignore=_LEFT_OUT)
        (root / ".venv").symlink_to(SOURCE / ".venv")
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Writes the usual settings with these (camelCase keys) changed, and keeps the engine's salt."""
        path = self.root / f"Pulumi.{self.stack}.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        content["config"] = {f"backup-storage:{key}": value for key, value in {**self.usual, **settings}.items()}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def start(self, target: str, **variables: str) -> subprocess.Popen[str]:
        """Starts ``make target`` in a process group of its own; stdout and stderr come together as text."""
        words = [f"{name}={value}" for name, value in {"STACK": self.stack, **variables}.items()]
        return subprocess.Popen(
            ["make", "--no-print-directory", target, *words],
            cwd=self.root,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, target: str, *, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs ``make target`` to its end; its output is text, stdout and stderr together."""
        with self.start(target, **variables) as running:
            said, _ = running.communicate()
        if check and running.returncode != 0:
            raise AssertionError(f"`make {target}` with {variables} ended with {running.returncode}:\n{said}")
        return subprocess.CompletedProcess(running.args, running.returncode, said)

    def shell(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a line in a shell that has sourced ``activate``, as a person would."""
        done = subprocess.run(
            ["bash", "-ec", f". ./activate\n{script}"],
            cwd=self.root,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"`{script}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def status(self) -> dict[str, Any]:
        """What `make status JSON=1` says, whether all is well or not."""
        said = self.make("status", check=False, JSON="1").stdout
        return dict(json.loads(next(line for line in said.splitlines() if line.startswith("{"))))

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs in plain text."""
        return dict(json.loads(self.shell(f"pulumi stack output --json --show-secrets --stack {self.stack}").stdout))

    @contextmanager
    def operator(self, node: int = 0) -> Iterator[Shell]:
        """A shell on a node, by the way that the outputs tell."""
        known = self.outputs()
        with operator_shell(known, node) as shell:
            yield shell

    def wait_for_boot(self, after: str, seconds: float = 900, node: int = 0) -> None:
        """Returns when the node answers in another boot than ``after`` (its boot id)."""
        deadline = time.monotonic() + seconds
        seen = "no answer yet"
        while time.monotonic() < deadline:
            try:
                with self.operator(node) as operator:
                    seen = boot_id(operator)
            except (OSError, asyncssh.Error, TimeoutError) as error:
                seen = f"{type(error).__name__}: {error}"
            else:
                if seen != after:
                    return
            time.sleep(1)
        raise AssertionError(f"The node did not come back within {seconds:.0f} s; last seen: {seen}")

    def processes(self) -> list[psutil.Process]:
        """Every process that this checkout has started and that still runs."""
        found = []
        for process in psutil.process_iter():
            try:
                place = f"{process.cwd()} {' '.join(process.cmdline())}"
            except psutil.Error:
                continue
            if str(self.root) in place:
                found.append(process)
        return found


def operator_shell(outputs: Mapping[str, Any], node: int = 0) -> Shell:
    """A shell on a node as the outputs describe it."""
    facts = outputs["nodes"][node]
    return Shell(facts["name"], facts["address"], facts["sshPort"], facts["hostKey"], outputs["operator"]["privateKey"])


def boot_id(shell: Shell) -> str:
    """Which boot of its machine a shell is in."""
    return shell.run("cat /proc/sys/kernel/random/boot_id").strip()


def connections(operator: Shell) -> int:
    """How often anybody has logged in on a node since it was made."""
    return int(operator.run("journalctl -q -t sshd -t sshd-session -g 'Accepted publickey' | wc -l"))


def clean_environment() -> dict[str, str]:
    """The caller's environment without what Make or Pulumi has put there, or Python reads: a test stands on its own."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PULUMI_", "MAKE", "MFLAGS", "PYTHON")) and name not in ("STACK", "VIRTUAL_ENV")
    }
