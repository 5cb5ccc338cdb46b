"""How long a writer stands still whose serving node dies."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cluster.running import Running
from benchmarks.figures import Figure
from demo.shell import CommandFailedError, Shell

_WRITER = Path(__file__).with_name("writer.py")

_NOTE, _STOP = "/run/writer", "/run/writer-stop"

#: So many nodes are lost in turn; the longest pause counts.
_LOSSES = 3

#: How many records tell that writing goes on.
_SEVERAL = 20

_GOES_ON_SECONDS = 300.0


def measure(cluster: Running) -> Iterator[Figure]:
    """The longest of a few pauses, each with the node lost that has the floating address then."""
    found = [_lose_one(cluster) for _ in range(_LOSSES)]
    each = ", ".join(f"{seconds:.1f}" for seconds in found)
    text = f"the worst of {each} s; each time the node is lost that has the floating address"
    yield Figure("cluster-writer-pause", max(found), "s", 12, "lower", text)


def _lose_one(cluster: Running) -> float:
    faults, machine = cluster.faults(), cluster.addon.machine
    machine.put("/srv/writer.py", _WRITER.read_text(encoding="utf-8"))
    machine.run(f"rm -f {_NOTE} {_STOP}")
    line = f"python3 /srv/writer.py {cluster.addon.own['repository']}/pause {_NOTE} {_STOP}"
    ended: list[CommandFailedError | None] = []

    def write() -> None:
        try:
            machine.run(line, seconds=3 * _GOES_ON_SECONDS)
        except CommandFailedError as error:
            ended.append(error)
        else:
            ended.append(None)

    writer = threading.Thread(target=write)
    writer.start()
    with machine.again() as observer:
        _await_records(observer, _SEVERAL, ended)
        faults.lose_holder()
        _await_records(observer, _records(observer) + _SEVERAL, ended)
        observer.run(f"touch {_STOP}")
        writer.join()
        if ended != [None]:
            raise AssertionError(f"The writer did not survive the loss of its node: {ended}")
        longest = float(observer.run(f"cat {_NOTE}").split()[1])
        observer.run(f"rm {cluster.addon.own['repository']}/pause")
    faults.bring_back()
    cluster.await_whole()
    return longest


def _records(observer: Shell) -> int:
    return int(observer.run(f"cat {_NOTE} 2>/dev/null || echo 0").split()[0])


def _await_records(observer: Shell, wanted: int, ended: list[CommandFailedError | None]) -> None:
    deadline = time.monotonic() + _GOES_ON_SECONDS
    while (count := _records(observer)) < wanted:
        if ended or time.monotonic() > deadline:
            raise AssertionError(f"The writer stands still at {count} of {wanted} records: {ended or 'no error'}")
        time.sleep(0.5)
