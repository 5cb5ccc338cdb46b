"""An SSH server on 127.0.0.1 that runs commands on this computer, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import asyncssh
import pytest
from asyncssh.channel import SSHServerChannel

ACCEPTED = {"GREETING", "PULUMI_COMMAND_STDOUT", "PULUMI_COMMAND_STDERR"}
PASSWORD = "swordfish"


def refuse_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make asyncssh's server refuse the environment variables that are not in ACCEPTED, as sshd does."""

    def process(channel: Any, packet: Any) -> bool:
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        if name.decode() not in ACCEPTED:
            return False
        channel._env[name] = value
        return True

    monkeypatch.setattr(SSHServerChannel, "_process_env_request", process)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections += 1

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data in self._server.authorized

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        self._server.tunnels.append((dest_host, dest_port))
        return True


@dataclass
class Server:
    """A running server: where it is, who may log in, and what happened."""

    port: int = 0
    host_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    client_key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    tunnels: list[tuple[str, int]] = field(default_factory=list)

    @cached_property
    def private_key(self) -> str:
        """The client's key as text; made once, for each export differs a little."""
        return self.client_key.export_private_key().decode()

    @property
    def authorized(self) -> set[bytes]:
        return {self.client_key.public_data}

    @property
    def host_key_line(self) -> str:
        return self.host_key.export_public_key().decode().strip()

    def connection(self, **changes: Any) -> dict[str, Any]:
        """The settings of a connection that works, changed as wanted."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "operator",
            "privateKey": self.private_key,
            "hostKey": self.host_key_line,
            "dialErrorLimit": 2,
        } | changes

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command, as a person's login shell would."""
        command = process.command or "true"
        given = {str(name): str(value) for name, value in process.env.items()}
        self.commands.append(command)
        self.environments.append(given)
        running = await asyncio.create_subprocess_shell(
            command,
            env=os.environ | given,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        feeding = asyncio.ensure_future(_pump(process.stdin, running.stdin))
        try:
            await asyncio.gather(_pump(running.stdout, process.stdout), _pump(running.stderr, process.stderr))
            status = await running.wait()
        finally:
            feeding.cancel()
            if running.returncode is None:
                running.kill()
                await running.wait()
        if status < 0:
            process.exit_with_signal("KILL")
        else:
            process.exit(status)


async def _pump(source: Any, target: Any) -> None:
    """Carry bytes from one stream to another, to their end."""
    while data := await source.read(64 * 1024):
        target.write(data)
        await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


class Loop:
    """An event loop in a thread of its own, so that a test can wait for the engine meanwhile."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.start(work).result(timeout=30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def serving(loop: Loop, server: Server, *host_keys: asyncssh.SSHKey) -> Iterator[Server]:
    """The server, listening for the length of a `with`; with other host keys than its own where some are given."""

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            server.port,
            server_host_keys=list(host_keys) or [server.host_key],
            server_factory=lambda: _Login(server),
            process_factory=server.handle,
            sftp_factory=True,
            encoding=None,
        )

    async def stop(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()

    acceptor = loop.run(start())
    server.port = acceptor.get_port()
    try:
        yield server
    finally:
        loop.run(stop(acceptor))
