"""Cuts the program off before any one of its acts: each file it writes, renames or removes, each program it starts.

Python announces these acts to audit hooks. From the chosen act on, every further one fails as well, so that no
clean-up runs that a killed process would not have run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ACTS = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.symlink", "os.truncate"),
    *("shutil.rmtree", "subprocess.Popen"),
}


class Killed(BaseException):
    """The process ends here."""


class _State:
    armed = False
    seen = 0
    limit = 0


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _State.armed or not _is_act(event, arguments):
        return
    _State.seen += 1
    if _State.seen > _State.limit:
        raise Killed(event)


def _is_act(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and "memfd" not in str(arguments[0])
    return event in ACTS


sys.addaudithook(_hook)


@contextmanager
def after(acts: int) -> Iterator[None]:
    """Lets so many acts through and kills whatever comes then."""
    _State.seen, _State.limit, _State.armed = 0, acts, True
    try:
        yield
    finally:
        _State.armed = False


def everywhere(prepare: Callable[[], None], act: Callable[[], object], check: Callable[[], None]) -> int:
    """Interrupts ``act`` before each of its acts in turn; returns how many interruptions there were."""
    for acts in range(10_000):
        prepare()
        try:
            with after(acts):
                act()
        except Killed:
            check()
        else:
            check()
            return acts
    raise AssertionError("it never ends")
