"""Messages between the members about the floating address: small, signed, and never taken twice.

HMAC-SHA-256 with the cluster's secret. A message carries its sender's incarnation (new with every start, and growing)
and a number that grows with each message, so one that was recorded and sent again is older than the last and dropped.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

_DIGEST_BYTES = 32
LARGEST_BYTES = 1400

CLAIM, GRANT, DENY, RELEASE = "claim", "grant", "deny", "release"


@dataclass(frozen=True)
class Message:
    """One message. ``round`` is the candidate's; ``lost`` names members that a holder no longer hears."""

    kind: str
    sender: str
    incarnation: int
    number: int
    round: int = 0
    lost: tuple[str, ...] = ()


def pack(message: Message, secret: bytes) -> bytes:
    """The message as it is sent."""
    body = json.dumps(asdict(message)).encode()
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
        value = json.loads(body)
        message = Message(**{**value, "lost": tuple(value["lost"])})
        order = (message.incarnation, message.number)
        if message.sender not in self.members or order <= self._last.get(message.sender, (0, 0)):
            return None
        self._last[message.sender] = order
        return message
