"""``make bench [ONLY=<part>]``: measures, prints a line a figure, and writes ``benchmarks/results.json``."""

import argparse
from collections.abc import Callable, Iterator

from benchmarks import catalogue, environments, standalone
from benchmarks.cluster import measured as cluster
from benchmarks.figures import Figure, write

PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "standalone": standalone.measure,
    "cluster": cluster.measure,
    "catalogue": catalogue.measure,
    "environments": environments.measure,
}


def main() -> None:
    """Runs the parts that are asked for; each figure is printed and written as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=sorted(PARTS), help="all where it is left out")
    chosen = parser.parse_args().part
    for name, measure in PARTS.items():
        if chosen in (None, name):
            for figure in measure():
                print(figure.line(), flush=True)
                write([figure])


if __name__ == "__main__":
    main()
