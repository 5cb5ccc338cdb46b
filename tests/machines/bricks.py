"""What is brought upon the bricks of a running cluster: no space, and no haste."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.machines.clusters import Cluster


@contextmanager
def full(cluster: Cluster, *nodes: str) -> Iterator[None]:
    """Leaves these bricks less than they keep to themselves (1 %), while backups take their part of what is free."""
    most = "$(($(df --output=avail -B1 /brick | tail -n 1) - 8388608))"
    try:
        for node in nodes:
            cluster.must(node, f"timeout 60 sh -c 'until fallocate -l {most} /brick/filler; do sleep 0.1; done'")
        yield
    finally:
        for node in nodes:
            cluster.must(node, "rm -f /brick/filler")


@contextmanager
def slow(cluster: Cluster, operation: str) -> Iterator[None]:
    """Each brick waits for ten seconds before it does the operation, once that is all that is left to do."""
    settings = {
        "debug.delay-gen": "posix",
        "delay-gen.enable": operation,
        "delay-gen.delay-percentage": "100",
        "delay-gen.delay-duration": "10000000",
    }
    line = "gluster --mode=script volume set data "
    cluster.must(cluster.nodes[0], line + " ".join(f"{name} {value}" for name, value in settings.items()))
    try:
        for node in cluster.nodes:
            # A brick takes it up when it starts, and its node starts one that has ended.
            before = cluster.must(node, "pidof glusterfsd").strip()
            cluster.must(node, f"kill -TERM {before} && timeout 60 tail --pid {before} --follow /dev/null")
            cluster.whole()
        yield
    finally:
        cluster.must(cluster.nodes[0], line + "delay-gen.delay-percentage 0")
