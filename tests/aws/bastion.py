"""The SSH server through which an operator reaches instances by their private addresses."""

from __future__ import annotations

import asyncio
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


class _Tunnel(asyncssh.SSHForwarder):
    """Ends with its two sides.

    asyncssh leaves it open where the node has ended before the client has. Where SIGHUP is ignored, as below nohup(1),
    no ssh ends its proxy by it, so that proxy would wait, and whoever reads what it inherited.
    """

    def eof_received(self) -> bool:
        stays = super().eof_received()
        if not stays:
            self.close()
        return stays


class _Login(OneKey):
    def __init__(self, authorized: str, way: Way) -> None:
        super().__init__(authorized)
        self._way = way

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        return dest_port == 22 and self._tunnel(dest_host)

    async def _tunnel(self, host: str) -> _Tunnel:
        _, node = await asyncio.get_running_loop().create_connection(asyncssh.SSHForwarder, *await self._way(host))
        return _Tunnel(node)


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
