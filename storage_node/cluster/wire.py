"""What two members' programs say to each other directly: over TLS, by the certificates that GlusterFS has, too.

A request and its answer are a line of JSON each. What may be long comes in pieces, with their lengths before them, and
ends with an empty one and a line that says whether all of it was there.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any

from storage_node.cluster import glusterd
from storage_node.cluster.membership import Member
from storage_node.errors import NodeError
from storage_node.firewall import DONOR_PORT
from storage_node.paths import Paths

# How long a member may take to take a connection, which its kernel does by itself; one that has never been in the
# cluster refuses at once.
REACH_SECONDS = 3.0
# A member that is busy with all else takes its time, but not for nothing at all.
SILENCE_SECONDS = 120.0
# A line is short: names, addresses and directories of seven members.
_LINE_BYTES = 65536
PIECE_BYTES = 1 << 20
_LENGTH_BYTES = 4


class Connection:
    """An encrypted connection to another member, whose name its certificate proves."""

    def __init__(self, channel: ssl.SSLSocket, stream: BufferedReader) -> None:
        self._channel, self._stream = channel, stream
        subject = (channel.getpeercert() or {}).get("subject", ())
        names = [pair[1] for part in subject for pair in part if pair[0] == "commonName"]
        self.name = str(names[0]) if names else ""

    def say(self, value: dict[str, Any]) -> None:
        """Sends a line."""
        self._channel.sendall(json.dumps(value).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """Receives a line. Raises NodeError for anything else, with the other's reason where it gives one."""
        line = self._stream.readline(_LINE_BYTES)
        if not line.endswith(b"\n"):
            raise NodeError(f"{self.name} broke off.")
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise NodeError(f"{self.name} says something else than was asked for.")
        if "refused" in found:
            raise NodeError(f"{self.name} refuses: {found['refused']}")
        return found

    def send(self, piece: bytes) -> None:
        """Sends a piece of something long; an empty one ends it."""
        self._channel.sendall(len(piece).to_bytes(_LENGTH_BYTES, "big") + piece)

    def pieces(self) -> Iterator[bytes]:
        """The pieces of something long, to its end. Raises NodeError when the other breaks off."""
        while length := int.from_bytes(self._read(_LENGTH_BYTES), "big"):
            if length > PIECE_BYTES:
                raise NodeError(f"{self.name} does not keep to pieces.")
            yield self._read(length)

    def _read(self, count: int) -> bytes:
        found = self._stream.read(count)
        if len(found) < count:
            raise NodeError(f"{self.name} broke off.")
        return found


@contextmanager
def to(paths: Paths, member: Member) -> Iterator[Connection]:
    """A connection to what another member gives (donor.py).

    Raises OSError where none is taken, and NodeError where who takes it does not prove to be that member.
    """
    with socket.create_connection((member.address, DONOR_PORT), REACH_SECONDS) as plain:
        plain.settimeout(SILENCE_SECONDS)
        with _context(paths, ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain) as channel, channel.makefile("rb") as stream:
            found = Connection(channel, stream)
            if found.name != member.name:
                answers = f"Who answers at {member.address} is {found.name!r} by its certificate"
                raise NodeError(f"{answers}, and not {member.name}.")
            yield found


@contextmanager
def accepted(paths: Paths, plain: socket.socket) -> Iterator[Connection]:
    """The connection that another member has made. Raises OSError where it does not prove that it is one."""
    plain.settimeout(SILENCE_SECONDS)
    context = _context(paths, ssl.PROTOCOL_TLS_SERVER)
    with context.wrap_socket(plain, server_side=True) as channel, channel.makefile("rb") as stream:
        yield Connection(channel, stream)


def _context(paths: Paths, protocol: int) -> ssl.SSLContext:
    """Both ends have to have a certificate of the cluster's authority; it names the member, and no address."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(paths.at(glusterd.CERTIFICATE), paths.at(glusterd.PRIVATE_KEY))
    context.load_verify_locations(paths.at(glusterd.AUTHORITY))
    return context
