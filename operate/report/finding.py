"""One thing that a reviewer should know of a change."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Section(StrEnum):
    """The parts of a report, in its order."""

    ENVIRONMENTS = "Environments"
    NODES = "Nodes"
    STACK = "The stack as a whole"


@dataclass(frozen=True)
class Finding:
    """What happens to one environment, node or other subject.

    texts: what happens, in words, without the subject.
    dangers: why a second look is due, each a clause of its own; none where nothing of it can lose data or service.
    stops: whether the subject, a node, is out of service meanwhile.
    """

    section: Section
    subject: str
    texts: tuple[str, ...] = ()
    dangers: tuple[str, ...] = ()
    stops: bool = False


def listed(items: Sequence[str], most: int = 5) -> str:
    """``a``, ``a and b``, ``a, b and c``; at most ``most`` by name, so that one subject's line stays a line."""
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
