"""Work on the volume while it comes and goes."""

from __future__ import annotations

import errno
import os

import pytest

from storage_node import waiting
from storage_node.errors import AwayError, NodeError

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.EBADFD])
def test_work_on_a_volume_that_goes_away_is_done_again(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    failures: list[Exception] = [OSError(number, os.strerror(number)), AwayError("shop: it went away.")]

    def work() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    assert waiting.steadily(work, poll=0) == "done"
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"The volume cannot be worked on: {os.strerror(number)}.",
        "shop: it went away.",
    ]


def test_a_volume_that_stays_away_is_said_in_words() -> None:
    def work() -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    words = "The volume cannot be worked on: Transport endpoint is not connected; it was waited for"
    with pytest.raises(NodeError, match=words):
        waiting.steadily(work, seconds=0, poll=0)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), NodeError("shop: damaged.")])
def test_what_trying_again_cannot_mend_is_not_tried_again(failure: Exception) -> None:
    attempts = []

    def work() -> None:
        attempts.append(failure)
        raise failure

    with pytest.raises(type(failure)):
        waiting.steadily(work, poll=0)
    assert attempts == [failure]


def test_what_is_waited_for_long_is_asked_for_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = 0.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        pauses.append(seconds)
        now += seconds

    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(NodeError, match=r"^Not yet; it was waited for for 200 s\.$"):
        waiting.until(lambda: "Not yet.", 200.0)
    assert pauses[0] == waiting.POLL_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == waiting.POLL_SECONDS_MOST
    # So nothing is noticed later than by a tenth of what it took.
    assert all(pause <= max(waiting.POLL_SECONDS, sum(pauses[:i]) / 10) for i, pause in enumerate(pauses))
