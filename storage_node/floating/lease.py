"""Who may hold the floating address: a lease that a majority of the members grants, as pure rules over time.

Each member is a voter: it promises its vote to one candidate at a time, for LEASE_SECONDS. A candidate with the votes
of a majority may hold the address until LEASE_SECONDS after it *asked*, less a margin, and asks again well before. Two
majorities share a member, and a member's promise lasts at least as long as what was built on it, so no two hold the
address at once; clocks need not agree, they only have to run equally fast. A voter that starts has forgotten its
promises and waits one lease before it votes (as in leases of Gray and Cheriton, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEASE_SECONDS = 5.0
RENEW_SECONDS = 1.0
# What clocks may run apart within a lease, and what taking the address off may take.
MARGIN_SECONDS = 0.5


@dataclass
class Voter:
    """One member's vote. Times are of one clock that never stands still, in seconds.

    ``renewed``: whoever has the vote has asked for it again, as one does who has won; who has not won gives it back.
    """

    started: float
    holder: str | None = None
    until: float = 0.0
    renewed: bool = False

    def claim(self, candidate: str, now: float) -> bool:
        """Whether the vote is given, or given again, to the candidate."""
        if now < self.started + LEASE_SECONDS:
            return False
        if self.holder not in (None, candidate) and now < self.until:
            return False
        self.renewed = self.holder == candidate and now < self.until
        self.holder, self.until = candidate, now + LEASE_SECONDS
        return True

    def release(self, candidate: str) -> None:
        """The candidate gives the vote back."""
        if self.holder == candidate:
            self.holder, self.until = None, 0.0

    def free_from(self) -> float:
        """From when on a claim of anybody's would be granted."""
        promised = self.until if self.holder is not None else 0.0
        return max(self.started + LEASE_SECONDS, promised)

    def is_free(self, now: float) -> bool:
        """Whether a claim of anybody's would be granted."""
        return now >= self.free_from()


@dataclass
class Candidate:
    """One member's wish to hold the address, and what it knows of its votes. ``majority`` counts its own vote too."""

    name: str
    majority: int
    round: int = 0
    asked: float = 0.0
    held_until: float = 0.0
    votes: set[str] = field(default_factory=set)

    def ask(self, now: float) -> int:
        """Begins a round of asking; returns its number, which the answers have to carry."""
        self.round += 1
        self.asked = now
        self.votes = set()
        return self.round

    def granted(self, voter: str, round_: int) -> None:
        """Counts a vote of the present round; late ones of earlier rounds count for nothing."""
        if round_ != self.round:
            return
        self.votes.add(voter)
        if len(self.votes) >= self.majority:
            self.held_until = max(self.held_until, self.asked + LEASE_SECONDS - MARGIN_SECONDS)

    def holds(self, now: float) -> bool:
        """Whether the address may be held now."""
        return now < self.held_until

    def give_up(self) -> None:
        """Holds it no more, whatever answers still arrive."""
        self.round += 1
        self.held_until = 0.0
        self.votes = set()
