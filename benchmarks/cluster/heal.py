"""How long a node that was lost for good takes to be filled again, against a plain copy of the same data."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.cluster.running import Running
from benchmarks.figures import Figure
from demo.shell import Shell
from tests.machines.clusters import lose_for_good

#: What is backed up for it: random bytes, which neither restic nor the copy can make smaller.
_MEGABYTES = 256

#: One of the ports that members reach each other at, and that no brick uses.
_PORT = 49251

#: Takes one connection and unpacks what comes, onto the disk.
_RECEIVE = (
    "import socket, subprocess; connection = socket.create_server(('', {port})).accept()[0]; "
    "subprocess.run(['tar', '-x', '-C', '/brick/copy'], stdin=connection.makefile('rb', 0), check=True); "
    "subprocess.run(['sync', '-f', '/brick/copy'], check=True)"
)


def measure(cluster: Running) -> Iterator[Figure]:
    """The second node is lost with its disk and replaced; the repository is then copied onto its new disk once more."""
    addon, (source, lost, _) = cluster.addon, cluster.names
    made = addon.machine.attempt(
        f"head -c {_MEGABYTES}M /dev/urandom >/srv/random && "
        f"restic --repo {addon.own['repository']} backup -q --host heal /srv/random && rm /srv/random",
        stdin=addon.own["password"] + "\n",
        seconds=1800,
    )
    if made.status != 0:
        raise AssertionError(f"The data to be healed could not be made: {made.error}")
    lose_for_good(cluster.directory, lost)
    cluster.project.make("replace", NODE=lost)
    # The fresh machine may be reached in another way.
    cluster = replace(cluster, outputs=cluster.project.outputs())
    with cluster.node(source) as there, cluster.node(lost) as fresh:
        filled, healed, megabytes = _healed(fresh)
        copied = _copied(there, fresh, cluster.outputs["nodes"][1]["privateAddress"])
    text = (
        f"{megabytes:.0f} MB filled with TLS in {filled:.1f} s and healed in {healed:.1f} s, "
        f"copied by tar over plain TCP in {copied:.1f} s"
    )
    yield Figure("cluster-heal", (filled + healed) / copied, "of the copy's time", 3, "lower", text)


def _healed(fresh: Shell) -> tuple[float, float, float]:
    """For how many seconds the fresh brick was filled, and then healed, and how much is in it.

    The times of its own directories tell it, as counting what is left would slow the healing down. It is filled from
    its first moment until it has its name, on the disk; and healed from GlusterFS's first moment in it to the last
    change of anything of the repository's.
    """
    told = fresh.run(
        "cd /brick && stat -c %.3Y . && cd brick-* && stat -c %.3W . .glusterfs/indices && "
        "find shop -printf '%C@ %y %s\\n' | awk '{ if ($1 > last) last = $1; if ($2 == \"f\") size += $3 } "
        'END { printf "%.3f %d\\n", last, size }\''
    )
    named, began, started, last, size = map(float, told.split())
    # One that was not filled has its name from the first.
    return max(0.0, named - began), max(0.0, last - started), size / 1e6


def _copied(there: Shell, fresh: Shell, address: str) -> float:
    """Seconds that the same data takes between the same two disks."""
    fresh.run("mkdir -p /brick/copy && sync")
    with fresh.again() as receiver:
        ended: list[float] = []

        def receive() -> None:
            receiver.run(f'python3 -c "{_RECEIVE.format(port=_PORT)}"')
            ended.append(time.monotonic())

        thread = threading.Thread(target=receive)
        thread.start()
        fresh.run(f"timeout 60 sh -c 'until ss -Hltn sport = :{_PORT} | grep -q .; do sleep 0.2; done'")
        there.run("echo 3 >/proc/sys/vm/drop_caches")
        began = time.monotonic()
        there.run(f"tar -C /brick/brick-*/shop -c . >/dev/tcp/{address}/{_PORT}")
        thread.join()
    return ended[0] - began
