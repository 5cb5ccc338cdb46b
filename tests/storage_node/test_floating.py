"""The floating address is never on two nodes, whatever the network and the nodes do; and it finds a living one."""

from __future__ import annotations

import heapq
import json
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_node.floating.lease import LEASE_SECONDS, RENEW_SECONDS, Candidate, Voter
from storage_node.floating.message import CLAIM, CLIENTS, GRANT, LARGEST_BYTES, MOST_CLIENTS, Message, Reader, pack

pytestmark = pytest.mark.cluster

STEP = 0.1
SECRET = b"s" * 32


@dataclass
class Node:
    """One member: both of its parts, and a stretch of time in which it hears and says nothing."""

    name: str
    voter: Voter
    candidate: Candidate
    next_ask: float = 0.0
    away: tuple[float, float] = (0.0, 0.0)
    held: list[float] = field(default_factory=list)

    def hears(self, now: float) -> bool:
        return not self.away[0] <= now < self.away[1]


def simulate(count: int, away: list[tuple[float, float]], seed: int, seconds: float, loss: float = 0.1) -> list[Node]:
    """Members that ask, vote and hold over a network that delays, reorders and loses; gives when each one held."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable run
    nodes = [Node(f"n{i}", Voter(0.0), Candidate(f"n{i}", count // 2 + 1), away=away[i]) for i in range(count)]
    by_name = {node.name: node for node in nodes}
    flying: list[tuple[float, int, str, str, str, int]] = []
    number = 0
    last: dict[tuple[str, str], int] = {}

    def send(kind: str, sender: str, to: str, round_: int, now: float) -> None:
        nonlocal number
        number += 1
        if chance.random() >= loss:
            heapq.heappush(flying, (now + chance.expovariate(4.0), number, kind, sender, to, round_))

    now = 0.0
    while now < seconds:
        while flying and flying[0][0] <= now:
            _, sequence, kind, sender, to, round_ = heapq.heappop(flying)
            node = by_name[to]
            # As the reader of messages has it: what is older than the last is dropped.
            if not node.hears(now) or sequence <= last.get((sender, to), 0):
                continue
            last[sender, to] = sequence
            if kind == "claim" and node.voter.claim(sender, now):
                send("grant", to, sender, round_, now)
            elif kind == "grant":
                node.candidate.granted(sender, round_)
            elif kind == "release":
                node.voter.release(sender)
        for node in nodes:
            step(node, nodes, now, send, chance)
        now = round(now + STEP, 3)
    return nodes


def step(node, nodes, now, send, chance) -> None:  # type: ignore[no-untyped-def]
    if node.candidate.holds(now):
        node.held.append(now)
    if not node.hears(now):
        return
    due = now - node.candidate.asked >= RENEW_SECONDS
    others = [other.name for other in nodes if other is not node]
    if node.candidate.holds(now):
        asks = due
    elif node.candidate.votes:
        if due:
            node.candidate.give_up()
            node.voter.release(node.name)
            for other in others:
                send("release", node.name, other, 0, now)
            node.next_ask = now + chance.uniform(0.2, 1.2)
        asks = False
    else:
        asks = node.voter.is_free(now) and now >= node.next_ask
    if asks:
        round_ = node.candidate.ask(now)
        if node.voter.claim(node.name, now):
            node.candidate.granted(node.name, round_)
        for other in others:
            send("claim", node.name, other, round_, now)


@given(
    count=st.sampled_from([3, 5, 7]),
    seed=st.integers(0, 2**32),
    away=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=7, max_size=7),
)
@settings(max_examples=60, deadline=None)
def test_no_two_nodes_hold_the_address_at_once(count: int, seed: int, away: list[tuple[float, float]]) -> None:
    nodes = simulate(count, away, seed, 60.0)
    moments = [moment for node in nodes for moment in node.held]
    assert len(moments) == len(set(moments))


@pytest.mark.parametrize("count", [3, 5, 7])
def test_when_the_holder_dies_another_has_the_address_within_two_leases(count: int) -> None:
    never = [(0.0, 0.0)] * count
    first = next(node for node in simulate(count, never, 1, 30.0) if node.held and node.held[-1] > 29.0)
    dying = [(30.0, 99.0) if f"n{i}" == first.name else (0.0, 0.0) for i in range(count)]
    nodes = simulate(count, dying, 1, 60.0)
    taken = min(node.held[0] for node in nodes if node.name != first.name and node.held and node.held[0] > 30.0)
    assert taken < 30.0 + 2 * LEASE_SECONDS


def test_a_minority_never_holds_the_address() -> None:
    cut = [(0.0, 0.0), (0.0, 99.0), (0.0, 99.0)]
    assert not any(node.held for node in simulate(3, cut, 7, 60.0))


def test_a_voter_that_starts_waits_until_its_forgotten_promises_are_over() -> None:
    voter = Voter(100.0)
    assert not voter.claim("n1", 100.0 + LEASE_SECONDS - 0.1)
    assert voter.claim("n1", 100.0 + LEASE_SECONDS)
    assert not voter.claim("n2", 100.0 + LEASE_SECONDS + 1)


def test_votes_of_an_earlier_round_count_for_nothing() -> None:
    candidate = Candidate("n1", 2)
    old = candidate.ask(1.0)
    candidate.ask(9.0)
    candidate.granted("n2", old)
    candidate.granted("n3", old)
    assert not candidate.holds(9.1)


def test_messages_are_taken_once_from_members_who_know_the_secret() -> None:
    reader = Reader(SECRET, frozenset({"n1"}))
    claim = pack(Message(CLAIM, "n1", 5, 1, round=3, lost=("n2",)), SECRET)
    assert reader.read(claim) == Message(CLAIM, "n1", 5, 1, round=3, lost=("n2",))
    assert reader.read(claim) is None
    assert reader.read(pack(Message(CLAIM, "n1", 4, 99), SECRET)) is None
    assert reader.read(pack(Message(GRANT, "n1", 5, 2), b"x" * 32)) is None
    assert reader.read(pack(Message(GRANT, "n9", 5, 2), SECRET)) is None
    assert reader.read(b"short") is None
    assert reader.read(pack(Message(GRANT, "n1", 6, 1), SECRET)) is not None


def test_an_earlier_programs_keeper_reads_all_messages() -> None:
    # It knows these fields, and ends when there is another.
    known = {"kind", "sender", "incarnation", "number", "round", "lost"}
    for message in (Message(CLAIM, "n1", 5, 1, lost=("n2",)), Message(CLIENTS, "n1", 5, 2, clients=(("10.0.0.1", 7),))):
        assert set(json.loads(pack(message, SECRET)[32:])) == known


def test_all_clients_fit_into_a_message() -> None:
    clients = tuple(
        (f"100.200.{100 + number // 250}.{number % 250}", 65000 + number % 500) for number in range(MOST_CLIENTS)
    )
    data = pack(Message(CLIENTS, "n1", 5, 1, clients=clients), SECRET)
    assert len(data) <= LARGEST_BYTES
    found = Reader(SECRET, frozenset({"n1"})).read(data)
    assert found is not None
    assert found.clients == clients
