"""Waiting for a machine's SSH server: until it proves to own its key; not after another key or the machine's end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import asyncssh
import pytest

from components.qemu import ready
from tests.engine.ssh_server import Loop

KEY = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC = KEY.export_public_key().decode()


@contextlib.contextmanager
def server(*, cut_off: int = 0) -> Iterator[int]:
    """The port of an SSH server with that key; so many are greeted first and then cut off."""
    loop, listening = Loop(), socket.create_server(("127.0.0.1", 0))

    async def serve() -> asyncssh.SSHAcceptor:
        for _ in range(cut_off):
            connection, _ = listening.accept()
            connection.sendall(b"SSH-2.0-boots\r\n")
            connection.close()
        return await asyncssh.listen(sock=listening, server_host_keys=[KEY])

    async def stop(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()

    serving = loop.start(serve())
    try:
        yield listening.getsockname()[1]
        loop.run(stop(serving.result(timeout=30)))
    finally:
        loop.stop()


def test_a_server_that_proves_to_own_the_key_is_ready() -> None:
    told: list[str] = []
    with server() as port:
        ready.wait("127.0.0.1", port, PUBLIC, lambda: True, told.append)
    assert [words.rpartition(" after ")[0] for words in told] == ["SSH answers"]


@pytest.mark.parametrize("cut_off", [1, 2, 3])
def test_a_server_that_is_started_anew_meanwhile_is_waited_for(cut_off: int) -> None:
    with server(cut_off=cut_off) as port:
        ready.wait("127.0.0.1", port, PUBLIC, lambda: True, lambda _: None)


def test_another_key_is_no_matter_of_time() -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with server() as port, pytest.raises(ready.NotReadyError, match=f"127.0.0.1:{port} has another host key"):
        ready.wait("127.0.0.1", port, other, lambda: True, lambda _: None)


def test_nobody_waits_longer_than_told_or_for_a_machine_that_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ready.NotReadyError, match=r"did not answer within 0 s: .*refused"):
        ready.wait("127.0.0.1", port, PUBLIC, lambda: True, lambda _: None, seconds=0.0)
    with pytest.raises(ready.NotReadyError, match="it stopped while it was booting"):
        ready.wait("127.0.0.1", port, PUBLIC, lambda: False, lambda _: None)
