"""Waiting for a state, with a deadline and a sentence about the state that was found instead."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from storage_node.errors import AwayError, NodeError, from_os

POLL_SECONDS = 0.5
# What is waited for long is asked for less often, by a tenth of the time that it has been waited for: to ask takes the
# processors that the wait is for, and some of it keeps every member of a cluster from all else meanwhile.
POLL_SECONDS_MOST = 5.0
# Members that have too much to do lose sight of each other, now and then, until the first of them are done; to ask one
# that does not answer takes two minutes by itself.
AWAY_SECONDS = 1800.0
AWAY_POLL_SECONDS = 2.0

_Result = TypeVar("_Result")


def until(missing: Callable[[], str | None], seconds: float, poll: float = POLL_SECONDS, then: str = "") -> None:
    """Returns when ``missing`` finds nothing missing any more.

    Raises NodeError with what it said last, and with what to do ``then``, when that takes longer than ``seconds``. What
    it says is told on stderr whenever it changes: the operator's side shows it as progress.
    """
    began: float | None = None
    told = ""
    while (what := missing()) is not None:
        # From when something was missing: to find nothing may itself have been long work.
        if began is None:
            began = time.monotonic()
        waited = time.monotonic() - began
        if waited > seconds:
            raise NodeError(f"{what.rstrip('.')}; it was waited for for {seconds:.0f} s{then and f'; {then}'}.")
        if what != told:
            print(what, file=sys.stderr, flush=True)
            told = what
        time.sleep(max(poll, min(waited / 10, POLL_SECONDS_MOST)))


def steadily(work: Callable[[], _Result], seconds: float = AWAY_SECONDS, poll: float = AWAY_POLL_SECONDS) -> _Result:
    """Does work on the volume that finishes what it began earlier, again for as long as the volume goes away under it.

    Raises NodeError with what the work said last when that takes longer than ``seconds``.
    """
    done: list[_Result] = []

    def missing() -> str | None:
        try:
            done.append(work())
        except OSError as error:
            failure = from_os("The volume cannot be worked on", error)
            if not isinstance(failure, AwayError):
                raise
            return str(failure)
        except AwayError as failure:
            return str(failure)
        return None

    until(missing, seconds, poll)
    return done[0]
