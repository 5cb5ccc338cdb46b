"""Reaches a stack's nodes by SSH: keys come from the outputs and stay in memory, host keys are pinned."""

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from operate.errors import OperateError

#: A node that does not answer within this many seconds is called unreachable.
CONNECT_SECONDS = 20

_SSH_PORT = 22


@dataclass(frozen=True)
class Answer:
    """What a command on a node gave; ``status`` is None where the node was not reached, ``error`` says why."""

    node: str
    status: int | None
    output: str
    error: str


def run_on(outputs: Mapping[str, Any], command: str, names: Collection[str]) -> list[Answer]:
    """Runs one command as root on the nodes of these names at once."""
    chosen = [node for node in outputs["nodes"] if node["name"] in names]

    async def all_nodes() -> list[Answer]:
        return list(await asyncio.gather(*(_run(outputs, node, command) for node in chosen)))

    return asyncio.run(all_nodes())


async def _run(outputs: Mapping[str, Any], node: Mapping[str, Any], command: str) -> Answer:
    operator = outputs["operator"]
    login = {**operator["logins"][node["name"]], "privateKey": operator["privateKey"]}
    bastion = operator.get("bastion")
    try:
        async with AsyncExitStack() as way:
            tunnel = await way.enter_async_context(_connect(bastion, bastion)) if bastion else None
            connection = await way.enter_async_context(
                _connect({**node, "host": node["address"], "port": node["sshPort"]}, login, tunnel)
            )
            done = await connection.run(login["elevate"] + command)
    except (OSError, asyncssh.Error, TimeoutError) as error:
        way_there = f" through {bastion['host']}" if bastion else ""
        text = f"{node['name']} at {node['address']} is not reachable{way_there}: {error}"
        return Answer(node["name"], None, "", text)
    return Answer(node["name"], done.exit_status, str(done.stdout), str(done.stderr))


def _connect(
    target: Mapping[str, Any], login: Mapping[str, Any], tunnel: asyncssh.SSHClientConnection | None = None
) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    return asyncssh.connect(
        target["host"],
        port=int(target["port"]),
        username=login["user"],
        client_keys=[asyncssh.import_private_key(login["privateKey"])],
        known_hosts=asyncssh.import_known_hosts(_known_host(target["host"], target["port"], target["hostKey"])),
        connect_timeout=CONNECT_SECONDS,
        tunnel=tunnel,
        config=None,
    )


def interactive(outputs: Mapping[str, Any], name: str | None, command: Sequence[str]) -> int:
    """Opens a shell on a node, or runs a command there in this terminal; gives its exit status."""
    nodes = {node["name"]: node for node in outputs["nodes"]}
    node = nodes.get(name or next(iter(nodes)))
    if node is None:
        raise OperateError(f"There is no node {name}; there are: {', '.join(nodes)}. Name one with NODE=.")
    with tempfile.TemporaryDirectory() as directory:
        known_hosts = Path(directory, "known_hosts")
        operator = outputs["operator"]
        bastion = operator.get("bastion")
        known = _known_host(node["address"], node["sshPort"], node["hostKey"])
        keys = [operator["privateKey"]]
        if bastion:
            known += _known_host(bastion["host"], bastion["port"], bastion["hostKey"])
            keys.append(bastion["privateKey"])
        known_hosts.write_text(known, encoding="utf-8")
        with _agent(Path(directory, "agent"), keys) as agent:
            pinned = ["-o", f"IdentityAgent={agent}", "-o", f"UserKnownHostsFile={known_hosts}"]
            pinned += ["-o", "StrictHostKeyChecking=yes"]
            line = ["ssh", "-p", str(node["sshPort"]), *pinned]
            if bastion:
                way = [
                    "ssh",
                    "-p",
                    str(int(bastion["port"])),
                    *pinned,
                    "-W",
                    "%h:%p",
                    f"{bastion['user']}@{bastion['host']}",
                ]
                line += ["-o", f"ProxyCommand={shlex.join(way)}"]
            target = f"{operator['logins'][node['name']]['user']}@{node['address']}"
            return subprocess.run([*line, target, *command], check=False).returncode


@contextmanager
def _agent(socket: Path, private_keys: Sequence[str]) -> Iterator[Path]:
    """An SSH agent that holds the keys for as long as the block runs, so that no key touches the disk."""
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _wait_until_listening(agent)
        for private_key in private_keys:
            _add(socket, private_key)
        yield socket
    finally:
        agent.terminate()
        agent.wait()


def _add(socket: Path, private_key: str) -> None:
    added = subprocess.run(
        ["ssh-add", "-q", "-"],
        env={**os.environ, "SSH_AUTH_SOCK": str(socket)},
        input=private_key,
        capture_output=True,
        text=True,
        check=False,
    )
    if added.returncode != 0:
        raise OperateError(f"ssh-add refused a key of the stack: {added.stderr.strip()}")


def _wait_until_listening(agent: subprocess.Popen[str]) -> None:
    """ssh-agent says where it listens once it does; nothing comes where it ended before."""
    if agent.stdout is None or not agent.stdout.readline():
        raise OperateError(f"ssh-agent ended with status {agent.wait()} before it was ready.")


def _known_host(host: str, port: float, host_key: str) -> str:
    """A line of a known_hosts file; the usual port stands for itself there (sshd(8))."""
    name = host if int(port) == _SSH_PORT else f"[{host}]:{int(port)}"
    return f"{name} {host_key}\n"
