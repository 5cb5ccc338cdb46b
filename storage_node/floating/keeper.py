"""The service that keeps the floating address on one living node: votes, asks, holds, and lets go.

Whoever is found dead also loses its TCP connections on the living nodes: its brick, its clients and the locks that
those held are then given up after one lease, instead of when the kernel's own patience ends.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from storage_node import atomic, system
from storage_node.cluster.membership import Cluster
from storage_node.firewall import NFS_PORT
from storage_node.floating import interface
from storage_node.floating.channel import Channel
from storage_node.floating.clients import Clients, connected, wake
from storage_node.floating.lease import LEASE_SECONDS, RENEW_SECONDS, Candidate, Voter
from storage_node.floating.message import CLAIM, CLIENTS, DENY, GRANT, MOST_CLIENTS, RELEASE, Message

# So much later than it is due something may be done, by chance: members that are free to ask at once do not all ask.
SPREAD_SECONDS = 0.25
# A round of asking that has not won by then is given back, so that another's may.
ROUND_SECONDS = 0.8
# The holder's NFS server is looked at this often, and counts as dead after so many failures in a row.
HEALTH_SECONDS = 2.0
HEALTH_FAILURES = 3
# How often after taking the address over it is announced: a frame may be lost, and caches differ.
ANNOUNCEMENTS = 5


class Keeper:
    """One member's part in it. Runs until it is told to stop; SIGHUP tells it that the cluster has further members."""

    def __init__(self, cluster: Cluster, name: str, secret: str, state: Path) -> None:
        if cluster.floating_address is None:
            raise ValueError("this cluster has no floating address")
        self._address = cluster.floating_address
        self._own = cluster.member(name)
        self._others = {member.name: member for member in cluster.others(name)}
        self._state = state
        self._voter = Voter(_now())
        self._candidate = Candidate(name, cluster.majority)
        # One that has not begun yet is not one that fell silent.
        self._heard = dict.fromkeys(self._others, math.inf)
        self._dropped: set[str] = set()
        self._clients = Clients()
        self._on = False
        self._put_until = 0.0
        self._to_announce = 0
        self._next_ask = self._next_health = 0.0
        self._failures = 0
        self._stopping = False
        # Looked at once more when it begins: the cluster may have grown since it was read.
        self._grown = True
        self._told: str | None = ""
        self._interface, self._index = interface.of_address(self._own.address)
        self._channel = Channel(self._own, cluster.others(name), secret.encode())

    def run(self, load: Callable[[], Cluster], note: Callable[[Cluster], object]) -> None:
        """Serves until SIGTERM; the address is given back before it returns.

        ``load`` gives the cluster as it is by now; ``note`` is told of each that is served from then on.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._grow)
        with _signals() as signalled:
            try:
                # One that an earlier keeper left is not ours until it is won again.
                interface.take_off(self._address, self._index)
                while not self._stopping:
                    if self._grown:
                        self._grown = False
                        cluster = load()
                        self.follow(cluster)
                        note(cluster)
                    select.select([self._channel, signalled], [], [], self._pause(_now()))
                    with contextlib.suppress(BlockingIOError):
                        signalled.recv(4096)
                    for message in self._channel.received():
                        self._take(message)
                    self._tick()
            finally:
                self._let_go()

    def follow(self, cluster: Cluster) -> None:
        """Goes on with these members. An address that is held stays: what a majority has promised until now counts.

        One that has an address of its own that differs ends, and is started anew.
        """
        if (cluster.floating_address, cluster.member(self._own.name)) != (self._address, self._own):
            self._stopping = True
        others = cluster.others(self._own.name)
        self._others = {member.name: member for member in others}
        self._channel.follow(others)
        self._candidate.majority = cluster.majority
        self._heard = {name: self._heard.get(name, math.inf) for name in self._others}
        self._dropped.intersection_update(self._others)

    def _grow(self, *_: object) -> None:
        self._grown = True

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _pause(self, now: float) -> float:
        """How long there is nothing to do but for what is heard, in seconds."""
        due = self._voter.until if self._voter.holder is not None else math.inf
        if self._candidate.holds(now):
            renewal = self._candidate.asked + RENEW_SECONDS
            due = min(due, renewal, self._candidate.held_until, self._next_health)
        elif self._candidate.votes:
            due = min(due, self._candidate.asked + ROUND_SECONDS)
        else:
            due = min(due, max(self._next_ask, self._voter.free_from()))
        if self._on and self._to_announce:
            due = now
        return max(0.0, due - now) + random.uniform(0.0, SPREAD_SECONDS)  # noqa: S311 - spreads, keeps nothing secret

    def _tick(self) -> None:
        now = _now()
        if self._candidate.holds(now):
            if self._server_is_dead(now):
                self._let_go()
            elif now - self._candidate.asked >= RENEW_SECONDS:
                self._ask(now)
        elif self._candidate.votes:
            if now - self._candidate.asked > ROUND_SECONDS:
                # Votes that are too few for us may be what another needs.
                self._let_go()
                self._next_ask = now + random.uniform(0.2, 1.2)  # noqa: S311 - spreads attempts, keeps nothing secret
        elif now >= self._next_ask and self._voter.is_free(now):
            # Who has nothing to serve with asks for nothing.
            if _serves():
                self._failures, self._next_health = 0, now + HEALTH_SECONDS
                self._ask(now)
            else:
                self._next_ask = now + HEALTH_SECONDS
        self._settle(_now())
        self._bury(now)
        self._tell(now)

    def _ask(self, now: float) -> None:
        number = self._candidate.ask(now)
        if self._voter.claim(self._own.name, now):
            self._candidate.granted(self._own.name, number)
        lost: tuple[str, ...] = ()
        if self._candidate.holds(now):
            lost = tuple(name for name, heard in self._heard.items() if now - heard > LEASE_SECONDS)
        self._channel.send(CLAIM, number, lost=lost)
        self._drop(lost)
        if self._on:
            self._tell_clients(now)

    def _tell_clients(self, now: float) -> None:
        """Tells the others who has to be woken if this node falls silent."""
        there = sorted(connected(self._address, NFS_PORT))[:MOST_CLIENTS]
        self._clients.see(there, now)
        if there:
            self._channel.send(CLIENTS, self._candidate.round, clients=tuple(there))

    def _settle(self, now: float) -> None:
        """The address as the lease has it."""
        if self._candidate.holds(now):
            left = math.floor(self._candidate.held_until - now)
            if left >= 1 and self._candidate.held_until != self._put_until:
                interface.put_on(self._address, self._index, left)
                self._put_until = self._candidate.held_until
                if not self._on:
                    print(f"{self._address} is on this node now", flush=True)
                    self._on, self._to_announce = True, ANNOUNCEMENTS
        elif self._on:
            self._take_off()
        if self._on and self._to_announce:
            interface.announce(self._address, self._interface)
            wake(self._address, NFS_PORT, self._clients.recent(now))
            self._to_announce -= 1

    def _take_off(self) -> None:
        interface.take_off(self._address, self._index)
        if self._on:
            print(f"{self._address} is on this node no more", flush=True)
        self._on = False

    def _let_go(self) -> None:
        self._candidate.give_up()
        self._take_off()
        self._voter.release(self._own.name)
        self._channel.send(RELEASE, self._candidate.round)

    def _bury(self, now: float) -> None:
        """A holder that let its lease run out without a word is dead."""
        holder = self._voter.holder
        if holder is not None and holder != self._own.name and now >= self._voter.until:
            self._voter.release(holder)
            self._drop([holder])

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._others and name not in self._dropped:
                self._dropped.add(name)
                print(f"{name} is not heard any more: its connections are ended", flush=True)
                system.run(["ss", "--kill", "--tcp", "dst", self._others[name].address], timeout=10.0)

    def _take(self, message: Message) -> None:
        now = _now()
        self._heard[message.sender] = now
        self._dropped.discard(message.sender)
        if message.kind == CLAIM:
            given = self._voter.claim(message.sender, now)
            self._channel.send(GRANT if given else DENY, message.round, to=message.sender)
            self._drop(message.lost)
        elif message.kind == GRANT:
            self._candidate.granted(message.sender, message.round)
        elif message.kind == RELEASE:
            self._voter.release(message.sender)
        elif message.kind == CLIENTS:
            self._clients.see(message.clients, now)

    def _server_is_dead(self, now: float) -> bool:
        if now >= self._next_health:
            self._next_health = now + HEALTH_SECONDS
            self._failures = 0 if _serves() else self._failures + 1
        return self._failures >= HEALTH_FAILURES

    def _tell(self, now: float) -> None:
        """Writes down for `status` who holds the address, as far as this node knows: who merely asks does not."""
        holder = None
        if self._on:
            holder = self._own.name
        elif self._voter.renewed and self._voter.holder != self._own.name and now < self._voter.until:
            holder = self._voter.holder
        if holder != self._told:
            self._told = holder
            atomic.write(self._state, json.dumps({"address": self._address, "holder": holder}) + "\n")


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """What can be read from when a signal came: nothing else may be due for long, and Python goes on with a wait."""
    told, teller = socket.socketpair()
    with told, teller:
        told.setblocking(False)
        teller.setblocking(False)
        before = signal.set_wakeup_fd(teller.fileno())
        try:
            yield told
        finally:
            signal.set_wakeup_fd(before)


def _serves() -> bool:
    """Whether this node's NFS server takes connections."""
    try:
        socket.create_connection(("127.0.0.1", 2049), timeout=0.5).close()
    except OSError:
        return False
    return True


def _now() -> float:
    """A clock that counts while the machine sleeps, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
