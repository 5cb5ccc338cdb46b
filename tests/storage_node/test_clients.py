"""The clients of the floating address: found in the kernel's tables, remembered for a while, and woken."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from storage_node.floating import clients
from storage_node.floating.clients import REMEMBERED_SECONDS, Clients, connected, wake

pytestmark = pytest.mark.cluster

# linux/tcp.h; a socket that is closed in this state tells the other side nothing, as that of a dead machine.
TCP_REPAIR = 19


def connection(family: socket.AddressFamily, host: str) -> tuple[socket.socket, socket.socket]:
    """The two sides of a connection to 127.0.0.1: the client's and the server's."""
    with socket.create_server((host, 0), family=family, dualstack_ipv6=family == socket.AF_INET6) as server:
        client = socket.create_connection(("127.0.0.1", server.getsockname()[1]), timeout=10)
        return client, server.accept()[0]


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")])
def test_connected_clients_are_found(family: socket.AddressFamily, host: str) -> None:
    client, server = connection(family, host)
    with client, server:
        port = server.getsockname()[1]
        assert connected("127.0.0.1", port) == {client.getsockname()}
        assert connected("127.0.0.2", port) == set()
        assert connected("127.0.0.1", client.getsockname()[1]) == {("127.0.0.1", port)}
    assert connected("127.0.0.1", port) == set()


def test_a_kernel_without_ipv6_has_one_table(tmp_path: Path) -> None:
    client, server = connection(socket.AF_INET, "127.0.0.1")
    with client, server:
        tables = (clients.TABLES[0], tmp_path / "tcp6")
        assert connected("127.0.0.1", server.getsockname()[1], tables) == {client.getsockname()}


def test_a_client_of_a_dead_server_learns_of_it_when_woken_and_one_of_a_living_goes_on() -> None:
    client, server = connection(socket.AF_INET, "127.0.0.1")
    with client:
        address, port = server.getsockname()
        wake(address, port, [client.getsockname()])
        server.sendall(b"on")
        assert client.recv(2) == b"on"
        server.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        server.close()
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        # One that the kernel refuses to send to comes before it.
        wake(address, port, [("255.255.255.255", 700), client.getsockname()])
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_the_checksum_is_that_of_the_standard() -> None:
    # RFC 1071 section 3 adds these words up to ddf2.
    assert clients._checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_clients_are_remembered_for_a_while() -> None:
    known = Clients()
    known.see([("10.0.0.2", 700), ("10.0.0.1", 701)], 100.0)
    known.see([("10.0.0.2", 700)], 101.0)
    assert known.recent(100.0 + REMEMBERED_SECONDS) == [("10.0.0.1", 701), ("10.0.0.2", 700)]
    assert known.recent(101.0 + REMEMBERED_SECONDS) == [("10.0.0.2", 700)]
    assert known.recent(101.5 + REMEMBERED_SECONDS) == []


def test_a_keeper_that_is_only_ever_told_forgets_as_well() -> None:
    known = Clients()
    for number in range(200):
        known.see([("10.0.0.2", 700 + number)], float(number))
    assert sorted(known._seen) == known.recent(199.0)
    assert len(known._seen) == REMEMBERED_SECONDS + 1
