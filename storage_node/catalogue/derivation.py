"""Derives repositories' master keys from the environments' passwords, several side by side within a limit of memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from storage_node.restic import keys
from storage_node.restic.command import Repository
from storage_node.restic.crypto import Key
from storage_node.restic.files import UntrustworthyError

# So many bytes may be in use at once: two derivations as restic mostly has them (N 32768, r 8, p 1 to 10), of which
# each needs a little more than 32 MiB. The whole process is to stay below 100 MB.
MEMORY_BUDGET = 2 * 128 * 8 * (32768 + 12)


class Budget:
    """Bytes that several threads may use together; who asks for more than is free waits."""

    def __init__(self, total: int = MEMORY_BUDGET) -> None:
        self._total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def take(self, wanted: int) -> Iterator[None]:
        """Holds a share; one that is larger than all there is gets all there is."""
        share = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


_budget = Budget()


def master_key(repository: Repository, password: str) -> tuple[str, Key]:
    """The id of the key file that the password opens and the master key in it; the environment's own is tried first.

    Raises UntrustworthyError when it opens none.
    """
    found = keys.in_repository(repository)
    ours = keys.of_user(found, keys.ENVIRONMENT)
    for key in (ours + [key for key in found if key not in ours])[: keys.MOST_KEYS]:
        with _budget.take(key.memory):
            master = key.open(password)
        if master is not None:
            return key.id, master
    raise UntrustworthyError("the environment's password opens no key of it")
