"""An application that writes backups all the while, and what has to hold of them when it ends."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

from demo.addon import Addon, answer_lost
from demo.midway import await_more_data, written
from demo.tree import Tree

#: How long a backup may take that loses its server in its middle.
BACKUP_SECONDS = 1200.0

#: How long a writer rests at the most.
REST_SECONDS = 60.0

#: What a backup of the writer's has in it, 10 kB each, and how large its packs are, in MiB. These are the least that
#: restic makes: so a small site is several packs, and emulated machines get on.
SITE_FILES, PACK_SIZE = 800, 4


class Writer:
    """Backs up one new site after the other for as long as its block lasts, and keeps account of what was reported.

    rests: after each backup wait as long as it took, a minute at the most, so that what goes on meanwhile is left
    something of the storage's processors. done: the names of the backups that restic reported as made. unanswered: of
    those during which the server died between a rename and its answer. failed: what it said of the others.
    """

    _count = 0

    def __init__(self, addon: Addon, *, rests: bool = False) -> None:
        self.addon = addon
        self._rests = rests
        self.done: list[str] = []
        self.unanswered: list[str] = []
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._error: BaseException | None = None

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    @property
    def refused(self) -> list[str]:
        """All that were not made, whatever the reason."""
        return self.failed + self.unanswered

    def in_the_middle(self) -> None:
        """Returns when a backup is under way and has written data."""
        await_more_data(self.addon, written(self.addon), self._thread)

    def gets_on(self, backups: int = 1) -> None:
        """Returns when so many backups more were reported as made, the one under way not counted."""
        self._await(lambda: len(self.done), len(self.done) + 1 + backups)

    def is_refused(self) -> None:
        """Returns when a backup was told that it failed."""
        self._await(lambda: len(self.failed), len(self.failed) + 1)

    def _await(self, count: Callable[[], int], wanted: int) -> None:
        deadline = time.monotonic() + BACKUP_SECONDS * 2
        while count() < wanted:
            if not self._thread.is_alive():
                raise AssertionError(f"The writer ended by itself: {self._error!r}")
            if time.monotonic() > deadline:
                raise AssertionError(f"Made: {self.done}; refused: {self.refused}; waited for {wanted}.")
            time.sleep(0.5)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                self._back_up()
                if self._rests:
                    self._stop.wait(min(time.monotonic() - began, REST_SECONDS))
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the thread
            self._error = error

    def _back_up(self) -> None:
        Writer._count += 1
        tree = Tree(self.addon.machine, "/srv/site", 1000 + Writer._count, SITE_FILES)
        tree.make()
        name = f"2026-05-01_{Writer._count:06d}_UTC"
        line = f'backup --json --pack-size {PACK_SIZE} --host shop --tag "{name} 0a1b2c3 auto" {tree.path}'
        ended = self.addon.restic(line, seconds=BACKUP_SECONDS)
        if ended.status == 0:
            self.done.append(name)
        elif answer_lost(ended):
            self.unanswered.append(name)
        else:
            self.failed.append(f"{name}: {ended.status}: {ended.error.strip()[-300:]}")


def nothing_is_lost(addon: Addon, writer: Writer) -> None:
    """Every byte of the repository is sound, and every backup that was reported as made is there."""
    addon.check(read_data=True)
    names = {str(entry["tags"][0]).split()[0] for entry in addon.snapshots()}
    assert writer.done
    assert set(writer.done) <= names, f"gone: {sorted(set(writer.done) - names)}"
