"""Asks the Pulumi engine about a stack or has it change one: its command line, in the environment of ``activate``."""

import json
import subprocess
from typing import Any

from operate import checkpoint, locks
from operate.errors import OperateError
from operate.project import HOME, ensure_passphrase, stack_file
from operate.report.preview import Preview, parse


def ensure_stack(stack: str) -> None:
    """Makes sure that the stack exists in the state backend.

    Raises OperateError where it exists neither there nor as a settings file: a misspelt name makes nothing.
    """
    ensure_passphrase(stack)
    for pid in locks.release_dead(stack):
        print(f"The lock of process {pid}, which was killed, is released; the next `up` mends what it left.")
    if checkpoint.restore_torn(stack):
        print(
            "The state was cut off while it was written; its last whole version is back, the next `up` mends the rest."
        )
    if not stack_file(stack) and stack not in {entry["name"] for entry in _json("stack", "ls", "--json")}:
        raise OperateError(
            f"There is no stack {stack}: neither a file Pulumi.{stack}.yaml nor a state. Write its settings into "
            f"Pulumi.{stack}.yaml (Pulumi.dev.yaml is an example) and run the command again."
        )
    _run("stack", "select", "--create", stack)


def outputs(stack: str) -> dict[str, Any]:
    """All outputs of a stack in plain text. Raises OperateError where it has none."""
    known = _json("stack", "output", "--json", "--show-secrets", "--stack", stack)
    if "addon" not in known:
        raise OperateError(f"Stack {stack} has no outputs; its last `up` did not finish. Run `make up STACK={stack}`.")
    return dict(known)


def resources(stack: str) -> list[dict[str, Any]]:
    """The stack's resources as its state has them; secrets stay encrypted."""
    deployment = _json("stack", "export", "--stack", stack)["deployment"]
    return list(deployment.get("resources") or [])


def answers(stack: str, step: str) -> list[dict[str, Any]]:
    """What a step said on each node when it last ran there; ``step`` is how its command line ends."""
    deployment = _json("stack", "export", "--show-secrets", "--stack", stack)["deployment"]
    ran = [part for part in deployment.get("resources") or [] if part["type"] == "command:remote:Command"]
    return [json.loads(_opened(part["outputs"]["stdout"])) for part in ran if part["inputs"]["create"].endswith(step)]


def _opened(value: Any) -> str:
    """A text of the state, which is wrapped where it is a secret."""
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) else value)


def preview(stack: str, *arguments: str) -> Preview:
    """What an `up` would do; further ``arguments`` go to the engine. Raises OperateError where it gave no preview."""
    line = ["pulumi", "preview", "--stack", stack, "--json", "--show-sames", "--non-interactive"]
    done = subprocess.run([*line, *arguments], cwd=HOME, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise OperateError(f"pulumi preview ended with status {done.returncode}:\n{done.stderr.strip()}")
    return parse(done.stdout)


def drive(command: str, stack: str, *arguments: str, failed: str) -> None:
    """Has the engine change a stack, without a question, while the operator sees what it says.

    command: `up` or `refresh`; further ``arguments`` go with it. Raises OperateError with ``failed`` where it fails.
    """
    line = ["pulumi", command, "--stack", stack, "--yes", "--skip-preview", "--non-interactive", *arguments]
    if subprocess.run(line, cwd=HOME, check=False).returncode != 0:
        raise OperateError(failed)


def _json(*arguments: str) -> Any:
    return json.loads(_run(*arguments))


def _run(*arguments: str) -> str:
    done = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"], cwd=HOME, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise OperateError(f"pulumi {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout
