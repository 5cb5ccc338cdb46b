"""The SSH server through which an operator reaches instances by their private addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import asyncssh

#: Where on this computer the machine with a private address is reached.
Way = Callable[[str], Awaitable[tuple[str, int]]]


class OneKey(asyncssh.SSHServer):
    """Lets root in with one key."""

    def __init__(self, authorized: str) -> None:
        self._authorized = asyncssh.import_public_key(authorized)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "root" and key == self._authorized


class _Login(OneKey):
    def __init__(self, authorized: str, way: Way) -> None:
        super().__init__(authorized)
        self._way = way
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        if self._connection is None or dest_port != 22:
            return False
        return self._tunnel(self._connection, dest_host)

    async def _tunnel(self, connection: asyncssh.SSHServerConnection, host: str) -> Any:
        return await connection.forward_connection(*await self._way(host))


@dataclass
class Bastion:
    """One server; its key pair and its host key are its own."""

    way: Way
    _key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    _own: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    _server: asyncssh.SSHAcceptor | None = None

    @cached_property
    def setting(self) -> dict[str, Any]:
        """The stack's setting that leads there; made once, for each export of a key differs a little."""
        assert self._server is not None
        return {
            "host": "127.0.0.1",
            "port": self._server.get_port(),
            "user": "root",
            "hostKey": self._own.export_public_key().decode().strip(),
            "privateKey": self._key.export_private_key().decode(),
        }

    async def open(self) -> None:
        """Let it listen."""
        allowed = self._key.export_public_key().decode()
        self._server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[self._own], server_factory=lambda: _Login(allowed, self.way)
        )

    async def close(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
