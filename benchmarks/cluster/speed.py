"""restic through the preferred mount, against one node's own XFS and a volume left at GlusterFS's defaults."""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.cluster.running import CLIENT, Running
from benchmarks.figures import Figure
from demo.shell import Shell
from demo.tree import Tree
from tests.machines.clusters import let_in, proven

#: Each side of a ratio is measured so often, in turn; the medians are compared.
_ROUNDS = 3

#: Some 80 MB: enough for the work to be that of the storage, and not of starting restic.
_FILES = 8000

_OWN, _DEFAULTS = "/brick/own", "/srv/defaults"


def measure(cluster: Running) -> Iterator[Figure]:
    """Backup and restore against both."""
    addon = cluster.addon
    with cluster.node(cluster.names[0]) as node, _volume_at_defaults(cluster):
        sides = {
            "preferred": (addon.machine, addon.own["repository"]),
            "xfs": (node, _OWN),
            "defaults": (addon.machine, _DEFAULTS),
        }
        for side in ("xfs", "defaults"):
            shell, repository = sides[side]
            shell.run(f"restic --repo {repository} init", stdin=f"{addon.own['password']}\n" * 2)
        taken: dict[tuple[str, str], list[float]] = {}
        for number in range(_ROUNDS):
            # Each begins once: who comes last finds a busier or quieter computer.
            order = list(sides)[number % len(sides) :] + list(sides)[: number % len(sides)]
            for side in order:
                shell, repository = sides[side]
                tree = Tree(shell, "/srv/site", seed=10 * number + list(sides).index(side), files=_FILES)
                tree.make()
                for work in (f"backup -q {tree.path}", "restore -q latest -t /srv/back"):
                    line = f"restic --repo {repository} {work}"
                    seconds = _seconds(shell, line, addon.own["password"])
                    taken.setdefault((side, work.split(" ")[0]), []).append(seconds)
                shell.run("rm -rf /srv/back")
        node.run(f"rm -rf {_OWN}")
    for work in ("backup", "restore"):
        ours, xfs, defaults = (statistics.median(taken[side, work]) for side in ("preferred", "xfs", "defaults"))
        text = f"{ours:.1f} s, against {xfs:.1f} s on one node's own XFS"
        yield Figure(f"cluster-{work}-xfs", xfs / ours, "of its speed", 0.75, "higher", text)
        text = f"{ours:.1f} s with TLS, against {defaults:.1f} s on a volume without options, mounted natively, no TLS"
        yield Figure(f"cluster-{work}-defaults", defaults / ours, "of its speed", 1.0, "higher", text)


@contextmanager
def _volume_at_defaults(cluster: Running) -> Iterator[None]:
    """A volume without any option on the same disks, mounted on the application machine by GlusterFS's own client.

    For as long as it is there, the application machine is let in like a member.
    """
    addresses = [node["privateAddress"] for node in cluster.outputs["nodes"]]
    machine = cluster.addon.machine
    with ExitStack() as opened:
        nodes = [opened.enter_context(cluster.node(name)) for name in cluster.names]
        opened.enter_context(proven(machine, nodes[0]))
        opened.enter_context(let_in(nodes, CLIENT))
        bricks = " ".join(f"{address}:/brick/defaults" for address in addresses)
        nodes[0].run(f"gluster --mode=script volume create defaults replica {len(addresses)} {bricks}")
        nodes[0].run("gluster --mode=script volume start defaults")
        try:
            source = f"{addresses[0]}:/defaults"
            machine.run(f"mkdir -p {_DEFAULTS} && mount -t glusterfs {source} {_DEFAULTS} && mountpoint -q {_DEFAULTS}")
            yield
            machine.run(f"umount {_DEFAULTS}")
        finally:
            nodes[0].run("gluster --mode=script volume stop defaults")
            nodes[0].run("gluster --mode=script volume delete defaults")
            for node in nodes:
                node.run("rm -rf /brick/defaults")


def _seconds(shell: Shell, line: str, password: str) -> float:
    began = time.monotonic()
    shell.run(line, stdin=f"{password}\n", seconds=1800)
    return time.monotonic() - began
