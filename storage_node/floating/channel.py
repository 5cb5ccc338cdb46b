"""Where members send each other messages about the floating address: signed, numbered, and each to one member."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence

from storage_node.cluster.membership import Member
from storage_node.firewall import KEEPER_PORT as PORT
from storage_node.floating.clients import Client
from storage_node.floating.message import LARGEST_BYTES, Message, Reader, pack


class Channel:
    """One member's socket. What is read from it is the others' own, and was never read before."""

    def __init__(self, own: Member, others: Sequence[Member], secret: bytes) -> None:
        self._own = own
        self._secret = secret
        self._others = {member.name: member for member in others}
        self._reader = Reader(secret, frozenset(self._others))
        self._incarnation, self._number = time.time_ns(), 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((own.address, PORT))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """What can be waited for (select(2)) until there is something to read."""
        return self._socket.fileno()

    def close(self) -> None:
        """Gives the socket up."""
        self._socket.close()

    def follow(self, others: Sequence[Member]) -> None:
        """Goes on with these members: nobody else is heard."""
        self._others = {member.name: member for member in others}
        self._reader.members = frozenset(self._others)

    def send(
        self,
        kind: str,
        round_: int,
        *,
        to: str | None = None,
        lost: tuple[str, ...] = (),
        clients: tuple[Client, ...] = (),
    ) -> None:
        """Sends a message to the member of that name, or to all others."""
        for member in self._others.values() if to is None else [self._others[to]]:
            self._number += 1
            message = Message(kind, self._own.name, self._incarnation, self._number, round_, lost, clients)
            # A member that is away, or a network that is down, hears nothing; that is what leases are for.
            with contextlib.suppress(OSError):
                self._socket.sendto(pack(message, self._secret), (member.address, PORT))

    def received(self) -> Iterator[Message]:
        """What has come, until there is no more."""
        while True:
            try:
                data, sender = self._socket.recvfrom(LARGEST_BYTES)
            except BlockingIOError:
                return
            message = self._reader.read(data)
            if message is not None and self._others[message.sender].address == sender[0]:
                yield message
