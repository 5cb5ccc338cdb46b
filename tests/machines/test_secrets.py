"""Every password of a stack is looked for wherever it must not be."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.shell import Shell
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project

pytestmark = [pytest.mark.machine, pytest.mark.standalone]

#: Writes down every new command line and environment that any process on the node has, as fast as it can.
_SAMPLER = r"""
import os, pathlib
seen = set()
target = open("/root/sampled", "wb", buffering=0)
while not os.path.exists("/root/sampler-stop"):
    for process in os.listdir("/proc"):
        if process.isdigit():
            for part in ("cmdline", "environ"):
                try:
                    text = pathlib.Path("/proc", process, part).read_bytes()
                except OSError:
                    continue
                if text not in seen:
                    seen.add(text)
                    target.write(text + b"\n")
"""


def passwords(outputs: Mapping[str, Any]) -> list[str]:
    """Every password that the stack's outputs hold, and the body of the operator's private key."""
    found = []
    for environment in outputs["addon"]["environments"].values():
        found.append(environment["password"])
        found += [granted["password"] for granted in environment["restoreFrom"].values()]
    found.append(max(outputs["operator"]["privateKey"].splitlines(), key=len))
    return found


def everything(project: Project) -> list[str]:
    """Every password, the operator's key, and the root that all passwords follow from."""
    state = json.loads(project.shell("pulumi stack export --show-secrets --stack test").stdout)
    (root,) = (each for each in state["deployment"]["resources"] if each["type"].endswith(":RandomPassword"))
    return [*passwords(project.outputs()), json.loads(root["outputs"]["result"]["plaintext"])]


@contextmanager
def sampled(operator: Shell) -> Iterator[None]:
    """Samples the node's processes for as long as the block runs."""
    operator.put("/root/sampler.py", _SAMPLER)
    operator.run("rm -f /root/sampler-stop && systemd-run -q --unit sampler python3 /root/sampler.py")
    try:
        yield
    finally:
        operator.run("touch /root/sampler-stop")


@pytest.fixture(scope="module")
def output(standalone: Project) -> Iterator[str]:
    """All that preview, up and refresh say at highest verbosity while an environment comes and a password turns."""
    changed = {
        "shop": {**ENVIRONMENTS["shop"], "generation": 2},
        "blog": ENVIRONMENTS["blog"],
        "docs": {"clients": ["10.77.0.103"], "readers": ["shop"]},
    }
    standalone.configure(environments=changed)
    # Without --debug and --logtostderr: those make Pulumi itself print whatever it sends to its plugins.
    verbose = "-v=11 --logflow"
    with standalone.operator() as operator, sampled(operator):
        said = [
            standalone.shell(f"pulumi {command} --stack test {verbose}")
            for command in ("preview --diff --json", "preview --diff", "up --yes --diff", "refresh --yes --diff")
        ]
    yield "".join(done.stdout + done.stderr for done in said)
    standalone.configure()
    standalone.make("up")


def test_no_output_at_highest_verbosity_holds_a_password(standalone: Project, output: str) -> None:
    assert "docs" in output
    assert [secret[:4] for secret in everything(standalone) if secret in output] == []


def test_no_process_on_the_node_carries_a_password(standalone: Project, output: str) -> None:
    with standalone.operator() as operator:
        assert int(operator.run("grep -c -a restic /root/sampled")) > 0, (
            "the sampler saw no restic, so it proves nothing"
        )
        found = operator.attempt("grep -a -c -F -f - /root/sampled", stdin="\n".join(everything(standalone)))
    assert found.output.strip() == "0"


def test_no_file_on_the_node_shows_a_password_to_others(standalone: Project, output: str) -> None:
    secrets = everything(standalone)
    with standalone.operator() as operator:
        operator.put("/root/patterns", "\n".join(secrets) + "\n")
        readable = operator.attempt(
            "find / -xdev -path /usr -prune -o -type f -perm /044 -print0 | xargs -0 grep -l -a -F -f /root/patterns"
        )
        control = operator.run("grep -c -F -f /root/patterns /etc/storage-node/passwords/shop")
        journal = operator.attempt("journalctl -o export | grep -a -c -F -f /root/patterns")
        histories = operator.attempt("cat /root/.bash_history /home/*/.bash_history | grep -c -F -f /root/patterns")
        open_to_others = operator.run("find /etc/storage-node -type f ! -perm 600 -print -o -type d ! -perm 700 -print")
        operator.run("rm /root/patterns")
    assert control.strip() == "1", "the search does not find a password where it is, so it proves nothing"
    assert readable.output == ""
    assert journal.output.strip() == "0"
    assert histories.output.strip() == "0"
    assert open_to_others == ""


def test_no_file_of_the_operator_holds_a_password(standalone: Project, output: str) -> None:
    wanted = re.compile(b"|".join(re.escape(secret.encode()) for secret in everything(standalone)))
    places = [standalone.root, Path.home() / ".pulumi"]
    files = [path for place in places for path in place.rglob("*") if path.is_file() and path.suffix != ".qcow2"]
    state = [path for path in files if path.name == "test.json"]
    assert state, "no state file was found, so the search proves nothing"
    assert [str(path) for path in files if wanted.search(path.read_bytes())] == []
