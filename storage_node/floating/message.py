"""Messages between the members about the floating address: small, signed, and never taken twice.

HMAC-SHA-256 with the cluster's secret. A message carries its sender's incarnation (new with every start, and growing)
and a number that grows with each message, so one that was recorded and sent again is older than the last and dropped.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

from storage_node.floating.clients import Client

_DIGEST_BYTES = 32
# What UDP carries at most, and the clients that certainly fit.
LARGEST_BYTES = 65507
MOST_CLIENTS = 2000

CLAIM, GRANT, DENY, RELEASE, CLIENTS = "claim", "grant", "deny", "release", "clients"


@dataclass(frozen=True)
class Message:
    """One message. ``round`` is the candidate's; ``lost`` names members that a holder no longer hears.

    ``clients`` are those connected to a holder. They have a message of their own: where it is too large for one frame
    and a part of it gets lost, no claim is lost with it.
    """

    kind: str
    sender: str
    incarnation: int
    number: int
    round: int = 0
    lost: tuple[str, ...] = ()
    clients: tuple[Client, ...] = ()


def pack(message: Message, secret: bytes) -> bytes:
    """The message as it is sent."""
    fields = asdict(message)
    clients = fields.pop("clients")
    if message.kind == CLIENTS:
        # In a field that an earlier program's keeper knows: it ends when there is one that it does not.
        fields["lost"] = clients
    body = json.dumps(fields).encode()
    return hmac.digest(secret, body, hashlib.sha256) + body


class Reader:
    """Reads messages, and refuses what is forged, foreign or repeated."""

    def __init__(self, secret: bytes, members: frozenset[str]) -> None:
        self._secret = secret
        self.members = members
        self._last: dict[str, tuple[int, int]] = {}

    def read(self, data: bytes) -> Message | None:
        """The message, or None for one that is none of this cluster's."""
        signature, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if not hmac.compare_digest(signature, hmac.digest(self._secret, body, hashlib.sha256)):
            return None
        message = _message(json.loads(body))
        order = (message.incarnation, message.number)
        if message.sender not in self.members or order <= self._last.get(message.sender, (0, 0)):
            return None
        self._last[message.sender] = order
        return message


def _message(value: dict[str, Any]) -> Message:
    about = value.pop("lost")
    if value["kind"] == CLIENTS:
        return Message(**value, clients=tuple((address, port) for address, port in about))
    return Message(**value, lost=tuple(about))
