"""The clients of the floating address: known to all members, and told at once that the address has moved.

A client that waits for a dead node sends again what was not acknowledged, after ever longer times, and only then learns
from the next node that its connection is gone. So the holder tells the others who is connected to it, and who takes the
address over sends each of these a bare acknowledgement that fits nothing. TCP answers such a one at once (RFC 9293
section 3.10.7.4), the next node knows of no such connection and says so, and the client connects anew. Known as a
"tickle ACK" from Samba's CTDB.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
#: One that nobody was connected to for so long is not told: it has sent something itself since then.
REMEMBERED_SECONDS = 60.0
_ESTABLISHED = "01"
_ACK = 0x10

# Address and port.
Client = tuple[str, int]


class Clients:
    """Who is, or was a moment ago, connected to the holder of the address."""

    def __init__(self) -> None:
        self._seen: dict[Client, float] = {}

    def see(self, clients: Iterable[Client], now: float) -> None:
        """Notes that these are connected."""
        # A keeper that never holds the address is told each second for years, and clients come by ever new ports.
        self._forget(now)
        self._seen.update(dict.fromkeys(clients, now))

    def recent(self, now: float) -> list[Client]:
        """Those that were connected not long ago."""
        self._forget(now)
        return sorted(self._seen)

    def _forget(self, now: float) -> None:
        self._seen = {client: seen for client, seen in self._seen.items() if now - seen <= REMEMBERED_SECONDS}


def connected(address: str, port: int, tables: Iterable[Path] = TABLES) -> frozenset[Client]:
    """Who has a TCP connection to this address and port of this machine, by proc(5)'s net/tcp. Raises OSError.

    The holder asks each second, so a process of `ss` each time would be dear on a small node.
    """
    found: set[Client] = set()
    for table in filter(Path.exists, tables):  # a kernel without IPv6 has one of them
        for line in table.read_text().splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            if state == _ESTABLISHED and _endpoint(local) == (address, port):
                found.add(_endpoint(remote))
    return frozenset(found)


def _endpoint(text: str) -> Client:
    """Address and port of an entry: 32-bit words in the machine's order; an IPv4 address in IPv6's form is itself."""
    words, port = text.split(":")
    packed = b"".join(struct.pack("=I", int(words[at : at + 8], 16)) for at in range(0, len(words), 8))
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return str(address), int(port, 16)


def wake(address: str, port: int, clients: Iterable[Client]) -> None:
    """Sends each client an acknowledgement, from this address and port, that it has to answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for client in clients:
            # One that cannot be reached has gone, and is no reason to leave the others waiting.
            with contextlib.suppress(OSError):
                raw.sendto(acknowledgement((address, port), client), (client[0], 0))


def acknowledgement(source: Client, to: Client) -> bytes:
    """The packet: an IP header, of which the kernel fills in the rest, and a TCP header with the numbers 0 and 0."""
    addresses = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(to[0]).packed
    # Ports, sequence, acknowledgement, the header's length in words, flags, window, checksum, urgent pointer.
    segment = struct.pack("!HHIIBBHHH", source[1], to[1], 0, 0, 5 << 4, _ACK, 1024, 0, 0)
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", _checksum(pseudo + segment)) + segment[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    return header + segment


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
