"""The keeper of the floating address: the lease, the members it is told of, and when it sleeps."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from storage_node import system
from storage_node.cluster import membership
from storage_node.cluster.membership import Cluster
from storage_node.floating import interface
from storage_node.floating import keeper as keeper_module
from storage_node.floating.clients import Client
from storage_node.floating.keeper import Keeper
from storage_node.floating.lease import LEASE_SECONDS, RENEW_SECONDS
from storage_node.floating.message import CLAIM, Message, pack

pytestmark = pytest.mark.cluster

SECRET = b"s" * 32


def on_loopback(count: int) -> Cluster:
    members = [
        {"name": f"storage-{n}", "address": f"127.0.0.{n}", "id": f"0b6ae2ff-0000-4000-8000-00000000000{n}"}
        for n in range(1, count + 1)
    ]
    return membership.parse({"layout": "replicated", "floatingAddress": "127.0.0.10", "members": members})


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    """That of the first of three members."""
    made = Keeper(on_loopback(3), "storage-1", SECRET.decode(), tmp_path / "state")
    yield made
    made._channel.close()


def test_a_holder_that_is_told_of_further_members_goes_on(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(system, "run", lambda arguments, **_: ran.append(tuple(arguments)))
    now = keeper_module._now()
    number = keeper._candidate.ask(now)
    for name in ("storage-1", "storage-2"):
        keeper._candidate.granted(name, number)
    held = keeper._candidate.held_until
    keeper._heard.update({"storage-2": now, "storage-3": now})
    unknown = pack(Message(CLAIM, "storage-4", 1, 1), SECRET)
    assert keeper._channel._reader.read(unknown) is None
    keeper.follow(on_loopback(5))
    assert keeper._channel._reader.read(unknown) is not None
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


def test_a_keeper_reads_the_members_again_when_it_is_hung_up_on(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage_node.floating.interface.take_off", lambda *_: None)
    monkeypatch.setattr("storage_node.floating.interface.put_on", lambda *_: None)
    noted: list[Cluster] = []
    known = [on_loopback(5), on_loopback(3)]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    def note(cluster: Cluster) -> None:
        noted.append(cluster)
        os.kill(os.getpid(), signal.SIGHUP if known else signal.SIGTERM)

    try:
        keeper.run(known.pop, note)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert noted == [on_loopback(3), on_loopback(5)]


def test_the_holder_ends_its_own_connections_to_a_dead_member_too(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(system, "run", lambda arguments, **_: ran.append(tuple(arguments)))
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
    assert ran == [("ss", "--kill", "--tcp", "dst", "127.0.0.3")]


def test_a_keeper_sleeps_until_something_is_due(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, _: least)
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


def test_who_has_nothing_to_serve_with_asks_for_nothing(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[int] = []
    monkeypatch.setattr("storage_node.floating.interface.take_off", lambda *_: None)
    monkeypatch.setattr("storage_node.floating.interface.put_on", lambda *_: put.append(1))
    monkeypatch.setattr("storage_node.floating.interface.announce", lambda *_: None)
    serves = False
    monkeypatch.setattr(keeper_module, "_serves", lambda: serves)
    now = keeper_module._now()
    keeper._voter.started = now - LEASE_SECONDS
    monkeypatch.setattr(keeper_module, "_now", lambda: now)
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


def test_who_asks_without_a_majority_is_not_said_to_hold_the_address(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage_node.floating.interface.take_off", lambda *_: None)
    monkeypatch.setattr(keeper_module, "_serves", lambda: True)
    now = keeper_module._now()
    monkeypatch.setattr(keeper_module, "_now", lambda: now)
    keeper._voter.started = now - LEASE_SECONDS

    def told() -> str | None:
        keeper._tell(now)
        return str(found) if (found := json.loads(keeper._state.read_text())["holder"]) else None

    # Nobody answers: it has its own vote again and again, and gives it back each time.
    for _ in range(5):
        keeper._tick()
        assert not keeper._voter.is_free(now)
        assert told() is None
        now += keeper_module.ROUND_SECONDS + 0.1
        keeper._tick()
        assert keeper._voter.is_free(now)
        assert told() is None
        now = keeper._next_ask
    # Another asks, and gives the vote back, as it has not won.
    assert keeper._voter.claim("storage-2", now)
    assert told() is None
    keeper._voter.release("storage-2")
    # Another has won, and renews; then it is silent.
    for _ in range(2):
        assert keeper._voter.claim("storage-2", now)
        now += RENEW_SECONDS
    assert told() == "storage-2"
    now += LEASE_SECONDS
    assert told() is None
    assert keeper._voter.claim("storage-2", now)
    assert told() is None


def test_who_takes_the_address_over_wakes_the_clients_of_the_one_before(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = frozenset({("10.0.0.9", 801), ("10.0.0.8", 802)})
    woken: list[tuple[str, int, list[Client]]] = []
    for name in ("put_on", "announce"):
        monkeypatch.setattr(interface, name, lambda *_: None)
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(0, "", ""))
    monkeypatch.setattr(keeper_module, "connected", lambda *to: there if to == ("127.0.0.10", 2049) else frozenset())
    monkeypatch.setattr(keeper_module, "wake", lambda *to: woken.append((*to[:2], list(to[2]))))
    now = keeper_module._now()
    monkeypatch.setattr(keeper_module, "_now", lambda: now)
    monkeypatch.setattr(interface, "of_address", lambda _: ("lo", 1))
    next_one = Keeper(on_loopback(3), "storage-2", SECRET.decode(), tmp_path / "next")

    def win(candidate: Keeper) -> None:
        candidate._ask(now)
        candidate._candidate.granted("storage-3", candidate._candidate.round)
        candidate._settle(now)

    with closing(next_one._channel):
        for each in (keeper, next_one):
            each._voter.started = now - LEASE_SECONDS
        win(keeper)
        assert woken == [("127.0.0.10", 2049, [])]
        keeper._ask(now)
        for message in next_one._channel.received():
            next_one._take(message)
        # It dies, and what it said is not forgotten within a lease.
        now += LEASE_SECONDS
        next_one._bury(now)
        win(next_one)
        assert woken[1:] == [("127.0.0.10", 2049, sorted(there))]
