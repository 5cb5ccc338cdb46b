"""Opening SSH connections as the `command` plugin does: pinned host key, retries, bastion host."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews need nothing of what is imported late)

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine.standins.command.endpoint import Endpoint, endpoint, join_host_port
from engine.standins.resource import Call, ProviderError

if TYPE_CHECKING:
    import asyncssh

FIRST_DELAY, BACKOFF, LONGEST_DELAY = 0.1, 1.5, 5.0
"""Seconds before the second attempt, growth per attempt, and the ceiling (Pulumi SDK, `util/retry`)."""

_ERRNO_TEXT = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.ETIMEDOUT: "connect: connection timed out",
}


class DialError(Exception):
    """One attempt to connect failed."""


async def _tcp(target: Endpoint) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise DialError(f"dial tcp: lookup {target.host}: no such host") from None
    failure = DialError(f"dial tcp: lookup {target.host}: no such host")
    for index, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            reason = _ERRNO_TEXT.get(error.errno or 0) or f"connect: {(error.strerror or str(error)).lower()}"
            if index == 0:
                failure = DialError(f"dial tcp {join_host_port(str(address[0]), target.port)}: {reason}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


@asynccontextmanager
async def _agent_keys(path: str | None) -> AsyncIterator[list[Any]]:
    """The keys that an SSH agent holds, usable as long as the `with` lasts."""
    import asyncssh

    if path is None:
        yield []
        return
    try:
        agent = await asyncssh.connect_agent(path)
    except OSError as error:
        raise ProviderError(f"dial unix {path}: connect: {(error.strerror or str(error)).lower()}") from None
    try:
        yield list(await agent.get_keys())
    finally:
        agent.close()
        await agent.wait_closed()


async def _handshake(target: Endpoint, **way: Any) -> asyncssh.SSHClientConnection:
    import asyncssh

    try:
        async with _agent_keys(target.agent) as keys:
            options = target.options
            if keys:
                options = options | {"client_keys": [*(options["client_keys"] or []), *keys]}
            return await asyncssh.connect(target.host, target.port, config=[], **options, **way)
    except asyncssh.HostKeyNotVerifiable:
        reason = "ssh: host key mismatch"
    except asyncssh.PermissionDenied:
        reason = f"ssh: unable to authenticate, attempted methods [{target.methods}], no supported methods remain"
    except asyncssh.KeyExchangeFailed as error:
        reason = f"ssh: no common algorithm for host key; {error.reason}"
    except asyncssh.ChannelOpenError as error:
        raise DialError(f"ssh: rejected: connect failed ({error.reason})") from None
    except asyncssh.ConnectionLost:
        reason = "EOF"
    except asyncssh.DisconnectError as error:
        reason = f"ssh: {error.reason}"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    raise DialError(f"ssh: handshake failed: {reason}")


async def _dial(target: Endpoint) -> asyncssh.SSHClientConnection:
    """One attempt, over TCP."""
    try:
        async with asyncio.timeout(target.timeout):
            sock = await _tcp(target)
    except TimeoutError:
        raise DialError(f"dial tcp {target.address}: i/o timeout") from None
    try:
        async with asyncio.timeout(target.timeout):
            return await _handshake(target, sock=sock)
    except TimeoutError:
        raise DialError("ssh: handshake failed: i/o timeout") from None


async def _with_retries(
    call: Call, what: str, limit: int, attempt: Callable[[], Awaitable[asyncssh.SSHClientConnection]]
) -> asyncssh.SSHClientConnection:
    """Try until it works, or until more than `limit` attempts have failed (-1: without end)."""
    delay, failed = FIRST_DELAY, 0
    while True:
        try:
            return await attempt()
        except DialError as error:
            failed += 1
            if limit > -1 and failed > limit:
                raise ProviderError(f"after {failed - 1} failed attempts: {error}") from None
        shown = "inf" if limit == -1 else str(limit)
        await call.log("INFO", f"{what} {failed}/{shown} failed: retrying", True)
        await asyncio.sleep(delay)
        delay = min(delay * BACKOFF, LONGEST_DELAY)


async def _open_through(
    call: Call, target: Endpoint, proxy: Endpoint
) -> tuple[asyncssh.SSHClientConnection, asyncssh.SSHClientConnection]:
    try:
        bastion = await _with_retries(call, "Dial proxy", proxy.error_limit, lambda: _dial(proxy))
        try:
            inner = await _with_retries(
                call, "Dial from proxy", target.error_limit, lambda: _handshake(target, tunnel=bastion)
            )
        except BaseException:
            bastion.abort()
            raise
    except ProviderError as error:
        raise ProviderError(f"proxy: {error}") from None
    return inner, bastion


class Connected:
    """An SSH connection for the length of a `with`."""

    def __init__(self, call: Call, settings: dict[str, Any]) -> None:
        self._call = call
        self._settings = settings
        self._open: list[asyncssh.SSHClientConnection] = []

    async def __aenter__(self) -> asyncssh.SSHClientConnection:
        target = endpoint(self._settings)
        if self._settings.get("proxy"):
            try:
                proxy = endpoint(self._settings["proxy"])
            except ProviderError as error:
                raise ProviderError(f"proxy: {error}") from None
            self._open = list(await _open_through(self._call, target, proxy))
        else:
            attempt = await _with_retries(self._call, "Dial", target.error_limit, lambda: _dial(target))
            self._open = [attempt]
        return self._open[0]

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for connection in self._open:
            if kind is None:
                connection.close()
            else:
                connection.abort()
