"""All figures of a cluster."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cluster import formation, heal, pause, speed
from benchmarks.cluster.running import running
from benchmarks.figures import Figure


def measure() -> Iterator[Figure]:
    """Formation on bare machines, then everything else on one running cluster."""
    with tempfile.TemporaryDirectory() as directory:
        yield from formation.measure(Path(directory))
        with running(Path(directory, "project")) as cluster:
            yield from speed.measure(cluster)
            yield from pause.measure(cluster)
            yield from heal.measure(cluster)
