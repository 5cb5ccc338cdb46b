"""Ending with the engine: a plugin whose engine was killed must not stay behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

CHECK_SECONDS = 0.5
"""How often the parent is looked at. The engine starts plugins directly: while it lives, it is the parent."""


def exit_at_once() -> None:
    """End this process without waiting for anything that still runs in it."""
    os._exit(1)


def exit_with_children() -> None:
    """End this process and those that it has started. The engine makes each plugin the leader of its own group."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    exit_at_once()


def watch(act: Callable[[], None] = exit_at_once) -> None:
    """Call `act` in a thread of its own when the process that started this one is no more."""
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK_SECONDS)
        act()

    threading.Thread(target=wait, daemon=True, name="orphan watch").start()
