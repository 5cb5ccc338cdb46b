"""Waiting for a state, with a deadline and a sentence about the state that was found instead."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from storage_node.errors import NodeError

POLL_SECONDS = 0.5


def until(missing: Callable[[], str | None], seconds: float, poll: float = POLL_SECONDS, then: str = "") -> None:
    """Returns when ``missing`` finds nothing missing any more.

    Raises NodeError with what it said last, and with what to do ``then``, when that takes longer than ``seconds``. What
    it says is told on stderr whenever it changes: the operator's side shows it as progress.
    """
    deadline = time.monotonic() + seconds
    told = ""
    while (what := missing()) is not None:
        if time.monotonic() > deadline:
            raise NodeError(f"{what.rstrip('.')}; it was waited for for {seconds:.0f} s{then and f'; {then}'}.")
        if what != told:
            print(what, file=sys.stderr, flush=True)
            told = what
        time.sleep(poll)
