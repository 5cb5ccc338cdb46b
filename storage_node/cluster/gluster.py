"""The gluster command: asked in XML, answered in plain objects, its refusals as sentences. The one way to run it."""

from __future__ import annotations

import random
import re
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from storage_node import system
from storage_node.errors import AwayError, NodeError

# glusterd itself gives up on a peer after 120 s; on loaded machines its own work comes on top.
TIMEOUT_SECONDS = 240.0
# How timeout(1) ends then.
_KILLED = -9
# glusterd takes one command at a time in the whole cluster, and refuses the others.
BUSY_SECONDS = 240.0
# glusterd gives no reason when it lost a member before the end: one that had done its part, and was to give its lock
# back (11.1, glusterd-syncop.c, gd_unlock_op_phase). Seen when an old connection to a fresh node ended.
_NO_REASON = "No reason was given, as when a member is lost before the end"
# What _DiedError says: nobody knows how far the command had come.
_DIED = "died before it had answered"
# A glusterd that has much to do does not even give out the volume's own description in time.
_BUSY = re.compile(
    rf"Another transaction|Locking failed|is already in progress|Not able to fetch volfile|{_NO_REASON}|{_DIED}",
    re.IGNORECASE,
)
# Of these the ones after which nobody knows what each member did: one to which the connection was lost says no more.
_IN_DOUBT = re.compile(rf"Locking failed|{_NO_REASON}|{_DIED}")
# The state that a peer has to be in. "Peer Rejected (Connected)" contains half of it, so it is compared as a whole.
IN_CLUSTER = "Peer in Cluster"


_Answer = TypeVar("_Answer")


class RefusedError(NodeError):
    """glusterd answered, with a refusal."""

    @property
    def by_a_member(self) -> bool:
        """Whether it came from a member that could not do its part, which may succeed the next time."""
        return "Commit failed" in str(self)


class _DiedError(AwayError):
    """The command died before it had answered.

    glfsheal, which looks at what is left to heal, may crash in OpenSSL at its end, when another of its threads is
    connecting to a brick that is away, and what it has not written yet is lost (11.1, glfs-heal.c; seen in one of 60
    looks while a brick was away).
    """


@dataclass(frozen=True)
class Peer:
    """Another member as this node's glusterd sees it."""

    id: str
    state: str
    connected: bool

    @property
    def settled(self) -> bool:
        """Whether it is a full member and there."""
        return self.connected and self.state == IN_CLUSTER


@dataclass(frozen=True)
class Brick:
    """One brick of the volume: the member that holds it, and its directory there."""

    member: str
    address: str
    path: str

    @property
    def name(self) -> str:
        """As gluster writes it."""
        return f"{self.address}:{self.path}"


@dataclass(frozen=True)
class Volume:
    """The volume as glusterd knows it."""

    started: bool
    layout: str
    redundancy: int
    bricks: tuple[Brick, ...]
    options: dict[str, str]


@dataclass(frozen=True)
class Running:
    """The volume's processes, and whether each runs; those of members that are away are missing.

    bricks: by the brick's name. healers: the self-heal daemons, by the id of the member.
    """

    bricks: dict[str, bool] = field(default_factory=dict[str, bool])
    healers: dict[str, bool] = field(default_factory=dict[str, bool])


@dataclass(frozen=True)
class Heal:
    """What is left to be healed, as one brick counts it; None where the brick cannot be asked, or was not."""

    brick: str
    pending: int | None
    split_brain: int | None


def ask(*arguments: str) -> ET.Element:
    """Runs one command and returns its answer, after the commands of other nodes that are under way.

    Raises RefusedError with glusterd's own words, and AwayError when there was no answer in time.
    """
    return _in_turn(partial(_ask_once, arguments))


def _in_turn(attempt: Callable[[], _Answer]) -> _Answer:
    """What the attempt gives once glusterd is not at another node's command any more, and it does not die."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return attempt()
        except (RefusedError, _DiedError) as error:
            if not _BUSY.search(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.3, 1.0))  # noqa: S311 - spreads the nodes' attempts


def _ask_once(arguments: Sequence[str]) -> ET.Element:
    done = _run("--xml", *arguments)
    what = f"`gluster {' '.join(arguments[:3])}`"
    if done.status == _KILLED:
        raise AwayError(f"{what} did not end within {TIMEOUT_SECONDS:.0f} s.")
    try:
        # What glusterd on this very node printed.
        answer = ET.fromstring(done.stdout)  # noqa: S314
    except ET.ParseError:
        said = (done.stdout + done.stderr).strip()
        if not said or said.startswith("<"):
            raise _DiedError(f"{what} {_DIED}.") from None
        # Whether it was done nobody knows: a member that lost a connection just then never answered the others.
        kind = AwayError if "timed out" in done.last_words else NodeError
        raise kind(f"{what} gave no answer: {done.last_words.rstrip('.')}.") from None
    if answer.findtext("opRet", "0") != "0":
        reason = (answer.findtext("opErrstr") or done.stderr).strip() or _NO_REASON
        raise RefusedError(f"{what} was refused: {reason.rstrip('.')}.")
    return answer


def _run(*arguments: str) -> system.Result:
    """Runs the command. One that takes too long ends with what it started: glfsheal would keep its locks."""
    line = ["timeout", "--signal=KILL", f"{TIMEOUT_SECONDS:.0f}", "gluster", "--mode=script", *arguments]
    return system.run(line, timeout=TIMEOUT_SECONDS + 30.0)


def change(*arguments: str) -> None:
    """Runs a command that changes something on every member.

    Raises AwayError as well when one is away, took no part, or was lost before the end: glusterd goes on without a
    member that it does not hear when it begins. Seen when it did: one that was back before the end kept the volume's
    old options for good, and its brick refused the members that it had not heard of.
    """
    _in_turn(partial(_change_once, arguments))


def _change_once(arguments: Sequence[str]) -> None:
    # At each attempt: until it is its turn minutes may pass.
    if not all(peer.settled for peer in peers()):
        raise AwayError(f"`gluster {' '.join(arguments[:3])}` has to wait: a member is not connected just now.")
    try:
        _ask_once(arguments)
    except (RefusedError, _DiedError) as error:
        if not _IN_DOUBT.search(str(error)):
            raise
        raise AwayError(str(error)) from None


def peers(of: str | None = None) -> list[Peer]:
    """Every other member that glusterd knows, this node's own or that of the member with the address ``of``."""
    return [
        Peer(
            id=_text(entry, "uuid"),
            state=_text(entry, "stateStr"),
            connected=_text(entry, "connected") == "1",
        )
        for entry in ask(*_remote(of), "peer", "status").iter("peer")
    ]


def _remote(address: str | None) -> list[str]:
    return [] if address is None else [f"--remote-host={address}"]


def volume(name: str, of: str | None = None) -> Volume | None:
    """The volume, or None when there is none of that name; as this node knows it, or the member with the address."""
    try:
        answer = ask(*_remote(of), "volume", "info", name)
    except RefusedError as refusal:
        if "does not exist" in str(refusal):
            return None
        raise
    entry = answer.find(".//volume")
    if entry is None:
        return None
    kind = _text(entry, "typeStr")
    return Volume(
        started=_text(entry, "statusStr") == "Started",
        layout={"Replicate": "replicated", "Disperse": "dispersed"}.get(kind, kind),
        redundancy=int(_text(entry, "redundancyCount") or 0),
        bricks=tuple(_brick(brick) for brick in entry.iter("brick")),
        options={_text(option, "name"): _text(option, "value") for option in entry.iter("option")},
    )


def _brick(entry: ET.Element) -> Brick:
    address, _, path = _text(entry, "name").rpartition(":")
    return Brick(_text(entry, "hostUuid"), address, path)


def running(name: str) -> Running:
    """Which of the volume's processes run, as glusterd on each node says."""
    found = Running()
    for node in ask("volume", "status", name).iter("node"):
        host, path, runs = _text(node, "hostname"), _text(node, "path"), _text(node, "status") == "1"
        if path.startswith("/"):
            found.bricks[f"{host}:{path}"] = runs
        elif host == "Self-heal Daemon":
            found.healers[_text(node, "peerid")] = runs
    return found


def clients(name: str) -> dict[str, Counter[str]]:
    """How many clients of the volume each brick has, by the address that they come from; bricks that are away lack."""
    return {
        f"{_text(node, 'hostname')}:{_text(node, 'path')}": Counter(
            _text(client, "hostname").rpartition(":")[0] for client in node.iter("client")
        )
        for node in ask("volume", "status", name, "clients").iter("node")
        if node.find("clientsStatus") is not None
    }


def heals(name: str) -> list[Heal]:
    """What is left to be healed, brick by brick."""
    return [
        Heal(
            brick=_text(brick, "name"),
            pending=_number(brick, "totalNumberOfEntries") if _text(brick, "status") == "Connected" else None,
            split_brain=_number(brick, "numberOfEntriesInSplitBrain") or 0,
        )
        for brick in ask("volume", "heal", name, "info", "summary").iter("brick")
    ]


def listed(name: str) -> dict[str, int]:
    """How many entries of a replicated volume each brick lists as to be healed; bricks that are away are left out.

    This costs next to nothing, where ``heals`` looks at every entry on every brick. What is being written just now may
    be listed, too.
    """
    said = _in_turn(partial(_heal_count, name))
    found = re.findall(r"^Brick (.+)\nNumber of entries: (\d+)$", said, re.MULTILINE)
    return {brick: int(count) for brick, count in found}


def _heal_count(name: str) -> str:
    done = _run("volume", "heal", name, "statistics", "heal-count")
    if done.status and _BUSY.search(done.last_words):
        raise RefusedError(f"`gluster volume heal {name}` was refused: {done.last_words.rstrip('.')}.")
    return done.stdout


def choose(name: str, brick: str, path: str) -> None:
    """Has this brick's copy of an entry be that of all, where they contradict each other; ``path`` is the volume's."""
    done = _run("volume", "heal", name, "split-brain", "source-brick", brick, path)
    if done.status:
        raise NodeError(f"The copy of {path} on {brick} cannot be chosen: {done.last_words.rstrip('.')}.")


def _number(entry: ET.Element, tag: str) -> int | None:
    text = _text(entry, tag)
    return int(text) if text.isdigit() else None


def _text(entry: ET.Element, tag: str) -> str:
    return (entry.findtext(tag) or "").strip()


def arguments_of(options: dict[str, str]) -> Sequence[str]:
    """Options as `volume set` takes them, all at once."""
    return [word for pair in sorted(options.items()) for word in pair]
