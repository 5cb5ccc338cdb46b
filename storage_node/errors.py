"""The one kind of failure that a step reports to its caller."""

from __future__ import annotations


class NodeError(Exception):
    """A failure in words: one sentence that says what is wrong, where, and what would be right.

    The sentence is printed on stderr and ends up in the engine's log, so it never holds a secret.
    ``status`` is the exit status that the command ends with.
    """

    status = 1


def from_os(action: str, error: OSError) -> NodeError:
    """Turns an operating system error into a sentence; a full disk gets the advice that helps."""
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return NodeError(f"{action}: the disk is full. Raise sizeGb or remove old backups, then run `pulumi up` again.")
    where = f" ({error.filename})" if error.filename else ""
    return NodeError(f"{action}: {error.strerror or error}{where}.")
