"""The one kind of failure that a step reports to its caller."""

from __future__ import annotations

import errno

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# What the files of a volume answer while too few of its bricks are reached, while its members' copies of a file that
# was just made are settled, or when it has been mounted anew; and an open one whose brick was away and has to open it
# anew (EBADFD, which GlusterFS's own translators take for a brick that is not connected).
_AWAY = frozenset({errno.ENOTCONN, errno.ESTALE, errno.ECONNABORTED, errno.EIO, errno.EBADFD})


class NodeError(Exception):
    """A failure in words: one sentence that says what is wrong, where, and what would be right.

    The sentence is printed on stderr and ends up in the engine's log, so it never holds a secret.
    ``status`` is the exit status that the command ends with.
    """

    status = 1


class AwayError(NodeError):
    """A volume, or one of its members, was away or lost an answer meanwhile: what failed may be done again."""


def from_os(action: str, error: OSError) -> NodeError:
    """Turns an operating system error into a sentence; a full disk gets the advice that helps."""
    if error.errno in _FULL:
        return NodeError(f"{action}: the disk is full. Raise sizeGb or remove old backups, then run `pulumi up` again.")
    where = f" ({error.filename})" if error.filename else ""
    kind = AwayError if error.errno in _AWAY else NodeError
    return kind(f"{action}: {error.strerror or error}{where}.")
