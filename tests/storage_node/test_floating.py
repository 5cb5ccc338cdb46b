"""The floating address is never on two nodes, whatever the network and the nodes do; and it finds a living one."""

from __future__ import annotations

import heapq
import os
import random
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_node import system
from storage_node.cluster import membership
from storage_node.cluster.membership import Cluster
from storage_node.floating import keeper as keeper_module
from storage_node.floating.keeper import Keeper
from storage_node.floating.lease import LEASE_SECONDS, RENEW_SECONDS, Candidate, Voter
from storage_node.floating.message import CLAIM, GRANT, Message, Reader, pack

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


def on_loopback(count: int) -> Cluster:
    members = [
        {"name": f"storage-{n}", "address": f"127.0.0.{n}", "id": f"0b6ae2ff-0000-4000-8000-00000000000{n}"}
        for n in range(1, count + 1)
    ]
    return membership.parse({"layout": "replicated", "floatingAddress": "127.0.0.10", "members": members})


def test_a_holder_that_is_told_of_further_members_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(system, "run", lambda arguments, **_: ran.append(tuple(arguments)))
    keeper = Keeper(on_loopback(3), "storage-1", SECRET.decode(), tmp_path / "state")
    try:
        now = keeper_module._now()
        number = keeper._candidate.ask(now)
        for name in ("storage-1", "storage-2"):
            keeper._candidate.granted(name, number)
        held = keeper._candidate.held_until
        keeper._heard.update({"storage-2": now, "storage-3": now})
        unknown = pack(Message(CLAIM, "storage-4", 1, 1), SECRET)
        assert keeper._reader.read(unknown) is None
        keeper.follow(on_loopback(5))
        assert keeper._reader.read(unknown) is not None
        assert (keeper._candidate.held_until, keeper._stopping) == (held, False)
        # From now on it takes one more.
        number = keeper._candidate.ask(now + 1)
        for name in ("storage-1", "storage-2"):
            keeper._candidate.granted(name, number)
        assert keeper._candidate.held_until == held
        keeper._candidate.granted("storage-4", number)
        assert keeper._candidate.held_until == held + 1
        # Those that have not begun yet are not taken for dead.
        keeper._ask(held + 0.9)
        assert [words[-1] for words in ran] == ["127.0.0.2", "127.0.0.3"]
        other = replace(on_loopback(3).members[0], address="127.0.0.99")
        keeper.follow(replace(on_loopback(3), members=(other, *on_loopback(3).members[1:])))
        assert keeper._stopping
    finally:
        keeper._socket.close()


def test_a_keeper_reads_the_members_again_when_it_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage_node.floating.interface.take_off", lambda *_: None)
    monkeypatch.setattr("storage_node.floating.interface.put_on", lambda *_: None)
    noted: list[Cluster] = []
    known = [on_loopback(5), on_loopback(3)]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    def note(cluster: Cluster) -> None:
        noted.append(cluster)
        os.kill(os.getpid(), signal.SIGHUP if known else signal.SIGTERM)

    keeper = Keeper(on_loopback(3), "storage-1", SECRET.decode(), tmp_path / "state")
    try:
        keeper.run(known.pop, note)
    finally:
        keeper._socket.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert noted == [on_loopback(3), on_loopback(5)]


def test_the_holder_ends_its_own_connections_to_a_dead_member_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = on_loopback(3)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(system, "run", lambda arguments, **_: ran.append(tuple(arguments)))
    keeper = Keeper(cluster, "storage-1", SECRET.decode(), tmp_path / "state")
    try:
        now = keeper_module._now()
        # The other has not begun yet: its brick is there, and its connections are wanted.
        keeper._heard["storage-3"] = now - 2 * LEASE_SECONDS
        keeper._ask(now)
        assert ran == []  # only a holder knows that a majority is on its side, and not on the silent one's
        number = keeper._candidate.ask(now)
        for name in ("storage-1", "storage-2"):
            keeper._candidate.granted(name, number)
        keeper._ask(now)
        keeper._ask(now)
    finally:
        keeper._socket.close()
    assert ran == [("ss", "--kill", "--tcp", "dst", "127.0.0.3")]


def test_a_keeper_sleeps_until_something_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, _: least)
    keeper = Keeper(on_loopback(3), "storage-1", SECRET.decode(), tmp_path / "state")
    try:
        now = keeper._voter.started = 1000.0
        assert keeper._pause(now) == LEASE_SECONDS  # its vote is not free before
        now += LEASE_SECONDS + 1
        assert keeper._pause(now) == 0  # it may ask
        assert keeper._voter.claim("storage-2", now)
        assert keeper._pause(now + 1) == LEASE_SECONDS - 1  # nothing, as long as the holder is heard
        keeper._voter.release("storage-2")
        number = keeper._candidate.ask(now)
        keeper._candidate.granted("storage-1", number)
        assert keeper._pause(now) == pytest.approx(keeper_module.ROUND_SECONDS)
        keeper._candidate.granted("storage-2", number)
        keeper._next_health = now + 0.5
        assert keeper._pause(now) == pytest.approx(0.5)
        keeper._next_health = now + 2
        assert keeper._pause(now) == pytest.approx(RENEW_SECONDS)
    finally:
        keeper._socket.close()


def test_who_has_nothing_to_serve_with_asks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[int] = []
    monkeypatch.setattr("storage_node.floating.interface.take_off", lambda *_: None)
    monkeypatch.setattr("storage_node.floating.interface.put_on", lambda *_: put.append(1))
    monkeypatch.setattr("storage_node.floating.interface.announce", lambda *_: None)
    serves = False
    monkeypatch.setattr(keeper_module, "_serves", lambda: serves)
    now = keeper_module._now()
    keeper = Keeper(on_loopback(3), "storage-1", SECRET.decode(), tmp_path / "state")
    keeper._voter.started = now - LEASE_SECONDS
    monkeypatch.setattr(keeper_module, "_now", lambda: now)
    try:
        keeper._tick()
        assert keeper._candidate.round == 0
        assert keeper._pause(now) >= keeper_module.HEALTH_SECONDS
        serves = True
        now += keeper_module.HEALTH_SECONDS
        keeper._tick()
        keeper._candidate.granted("storage-2", keeper._candidate.round)
        keeper._tick()
        assert put == [1]
        # A holder whose server is gone gives the address back, after some failures in a row.
        serves = False
        for failures in range(1, keeper_module.HEALTH_FAILURES + 1):
            now += keeper_module.HEALTH_SECONDS
            keeper._candidate.held_until = now + 1
            keeper._tick()
            assert keeper._candidate.holds(now) is (failures < keeper_module.HEALTH_FAILURES)
    finally:
        keeper._socket.close()
