"""How remote commands connect: retries, pinned host keys, bastion hosts, and what is said when it fails."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.engine.conftest import MakeStack
from tests.engine.ssh_server import Loop, Server, serving
from tests.engine.stack import Result, Stack

pytestmark = pytest.mark.engine

PROGRAM = """
    for name, given in settings.items():
        given["connection"] = pulumi.Output.secret(given["connection"])
        remote.Command(name, **given)
"""


def unused_port() -> int:
    """A port on which nothing listens, and from which nobody connects: none of those that the kernel gives out."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for port in itertools.chain(range(last + 1, 65536), range(1024, first)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("Every port that the kernel does not give out is in use.")


@dataclass(frozen=True)
class Failures:
    result: Result
    port: int
    stack: Stack


@pytest.fixture(scope="module")
def failures(make_stack: MakeStack, ssh: Server) -> Failures:
    """One `up` in which everything fails, each command in its own way."""
    stack = make_stack()
    stack.program(PROGRAM)
    port = unused_port()
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    other_key = stranger.export_public_key().decode().strip()

    def failing(create: str = "echo never", **changes: Any) -> dict[str, Any]:
        return {"create": create, "connection": ssh.connection(**({"dialErrorLimit": 1} | changes))}

    refused_variable = failing() | {"environment": {"SECRET_NAME": "x"}}
    stack.settings(
        refused=failing(port=port, dialErrorLimit=3),
        impostor=failing(hostKey=other_key),
        stranger=failing(privateKey=stranger.export_private_key().decode()),
        garbage=failing(privateKey="not a key"),
        garbled=failing(hostKey="not a key"),
        variable=refused_variable,
        killed=failing("kill -9 $$"),
        failing=failing('echo "one"; sleep 0.2; echo two >&2; sleep 0.2; echo three; exit 7'),
        bastion=failing(proxy=ssh.connection(port=port, dialErrorLimit=0)),
    )
    return Failures(stack.up("--continue-on-error", check=False), port, stack)


def test_a_failure_names_status_and_command_and_shows_the_output_in_order(failures: Failures) -> None:
    command = 'echo \\"one\\"; sleep 0.2; echo two >&2; sleep 0.2; echo three; exit 7'
    line = f'Process exited with status 7: running "{command}":'
    start = failures.result.text.rindex(line)
    shown = failures.result.text[start:].splitlines()[1:4]
    assert [text.strip() for text in shown] == ["one", "two", "three"]


def test_a_killed_command_fails(failures: Failures) -> None:
    assert "Process exited with status 137 from signal KILL" in failures.result.text


def test_a_refused_connection_is_tried_again_and_says_how_often(failures: Failures) -> None:
    message = f"after 3 failed attempts: dial tcp 127.0.0.1:{failures.port}: connect: connection refused"
    assert message in failures.result.text


def test_another_host_key_is_refused(failures: Failures) -> None:
    assert "after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch" in failures.result.text


def test_an_unknown_client_key_is_refused(failures: Failures) -> None:
    text = failures.result.text
    assert "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]" in text


def test_a_private_key_that_is_none_is_an_error(failures: Failures) -> None:
    assert "ssh: no key found" in failures.result.text


def test_a_host_key_that_is_none_is_an_error(failures: Failures) -> None:
    assert "failed to parse host key: ssh: no key found" in failures.result.text


def test_a_refused_variable_fails_before_the_command_runs(failures: Failures, ssh: Server) -> None:
    assert 'could not set environment variable "SECRET_NAME": ssh: setenv failed' in failures.result.text
    assert "echo never" not in ssh.commands


def test_an_unreachable_bastion_is_named(failures: Failures) -> None:
    assert "proxy: after 0 failed attempts: dial tcp" in failures.result.text


def test_what_failed_is_not_in_the_state(failures: Failures) -> None:
    kinds = [resource["type"] for resource in failures.stack.resources().values()]
    assert "command:remote:Command" not in kinds


@pytest.fixture(scope="module")
def gone(make_stack: MakeStack, loop: Loop, ssh: Server) -> Result:
    """A destroy after the machine has gone, of a stack that went up through a bastion, host key unchecked."""
    stack = make_stack()
    stack.program(PROGRAM)
    machine = Server()
    with serving(loop, machine):
        near = machine.connection(dialErrorLimit=1)
        through = machine.connection(hostKey=None, proxy=ssh.connection())
        stack.settings(
            silent={"create": "echo up", "connection": near},
            blocking={"create": "echo up", "delete": "echo down", "connection": near},
            through={"create": "echo behind", "connection": through},
        )
        stack.up()
        assert "echo behind" in machine.commands
        assert ("127.0.0.1", machine.port) in ssh.tunnels
    return stack.destroy(check=False)


def test_a_command_without_delete_leaves_the_state_by_itself(gone: Result) -> None:
    assert "Command silent deleted" in gone.text


def test_a_delete_on_a_machine_that_is_gone_blocks_the_destroy(gone: Result) -> None:
    assert gone.status != 0
    assert "after 1 failed attempts: dial tcp" in gone.text


def test_a_machine_that_boots_meanwhile_is_reached(make_stack: MakeStack, loop: Loop) -> None:
    stack = make_stack()
    stack.program(PROGRAM)
    machine = Server(port=unused_port())
    stack.settings(late={"create": "echo hello", "connection": machine.connection(dialErrorLimit=-1)})
    shown = ""
    with stack.running("up", "--yes", "--skip-preview") as running:
        while "failed: retrying" not in shown:
            line = running.stdout.readline() if running.stdout else ""
            assert line, f"the update ended before the machine was there:\n{shown}"
            shown += line
        with serving(loop, machine):
            running.communicate(timeout=60)
    assert (running.returncode, machine.commands) == (0, ["echo hello"])
    assert "Dial 1/inf failed: retrying" in shown


def test_interrupts_stop_an_update_and_its_commands(make_stack: MakeStack, ssh: Server) -> None:
    stack = make_stack()
    stack.program(PROGRAM)
    stack.settings(slow={"create": "echo started; exec sleep 600", "connection": ssh.connection()})
    with stack.running("up", "--yes", "--skip-preview") as running:
        while "started" not in (line := running.stdout.readline() if running.stdout else ""):
            assert line, "the update ended by itself"
        running.send_signal(signal.SIGINT)
        try:
            text, _ = running.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            # The first interrupt lets running commands end; a plugin may take it as its own end, or wait for them.
            running.send_signal(signal.SIGINT)
            text, _ = running.communicate(timeout=60)
    assert running.returncode != 0
    assert "slow created" not in text


def test_commands_run_side_by_side(
    make_stack: MakeStack, ssh: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    meeting = tmp_path_factory.mktemp("meeting")
    wait = "until [ -e {0} ]; do sleep 0.1; done"
    stack = make_stack()
    stack.program(PROGRAM)
    each = {
        mine: {
            "create": f"touch {meeting}/{mine}; {wait.format(meeting / other)}",
            "connection": ssh.connection(),
        }
        for mine, other in (("left", "right"), ("right", "left"))
    }
    stack.settings(**each)
    stack.up()
