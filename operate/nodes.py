"""Reaches a stack's nodes by SSH: keys come from the outputs and stay in memory, host keys are pinned."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from operate.errors import OperateError

#: A node that does not answer within this many seconds is called unreachable.
CONNECT_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """What a command on a node gave; ``status`` is None where the node was not reached, ``error`` says why."""

    node: str
    status: int | None
    output: str
    error: str


def run_on_all(outputs: Mapping[str, Any], command: str) -> list[Answer]:
    """Runs one command on every node at once."""

    async def all_nodes() -> list[Answer]:
        return list(await asyncio.gather(*(_run(outputs, node, command) for node in outputs["nodes"])))

    return asyncio.run(all_nodes())


async def _run(outputs: Mapping[str, Any], node: Mapping[str, Any], command: str) -> Answer:
    operator = outputs["operator"]
    try:
        async with asyncssh.connect(
            node["address"],
            port=node["sshPort"],
            username=operator["user"],
            client_keys=[asyncssh.import_private_key(operator["privateKey"])],
            known_hosts=asyncssh.import_known_hosts(_known_host(node)),
            connect_timeout=CONNECT_SECONDS,
            config=None,
        ) as connection:
            done = await connection.run(command)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        return Answer(node["name"], None, "", f"{node['name']} at {node['address']} is not reachable: {error}")
    return Answer(node["name"], done.exit_status, str(done.stdout), str(done.stderr))


def interactive(outputs: Mapping[str, Any], name: str | None, command: Sequence[str]) -> int:
    """Opens a shell on a node, or runs a command there in this terminal; gives its exit status."""
    nodes = {node["name"]: node for node in outputs["nodes"]}
    node = nodes.get(name or next(iter(nodes)))
    if node is None:
        raise OperateError(f"There is no node {name}; there are: {', '.join(nodes)}. Name one with NODE=.")
    with tempfile.TemporaryDirectory() as directory:
        known_hosts = Path(directory, "known_hosts")
        known_hosts.write_text(_known_host(node), encoding="utf-8")
        with _agent(Path(directory, "agent"), outputs["operator"]["privateKey"]) as agent:
            line = ["ssh", "-p", str(node["sshPort"]), "-o", f"IdentityAgent={agent}"]
            line += ["-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes"]
            target = f"{outputs['operator']['user']}@{node['address']}"
            return subprocess.run([*line, target, *command], check=False).returncode


@contextmanager
def _agent(socket: Path, private_key: str) -> Iterator[Path]:
    """An SSH agent that holds the key for as long as the block runs, so that the key touches no disk."""
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _wait_until_listening(agent)
        added = subprocess.run(
            ["ssh-add", "-q", "-"],
            env={**os.environ, "SSH_AUTH_SOCK": str(socket)},
            input=private_key,
            capture_output=True,
            text=True,
            check=False,
        )
        if added.returncode != 0:
            raise OperateError(f"ssh-add refused the stack's key: {added.stderr.strip()}")
        yield socket
    finally:
        agent.terminate()
        agent.wait()


def _wait_until_listening(agent: subprocess.Popen[str]) -> None:
    """ssh-agent says where it listens once it does; nothing comes where it ended before."""
    if agent.stdout is None or not agent.stdout.readline():
        raise OperateError(f"ssh-agent ended with status {agent.wait()} before it was ready.")


def _known_host(node: Mapping[str, Any]) -> str:
    return f"[{node['address']}]:{node['sshPort']} {node['hostKey']}\n"
