"""NFSv4 exports: one per environment, to its own clients, every client mapped to the environment's own user.

Facts (exports(5), and tried): ids are squashed, so restic as root on the client works and owns nothing else; an
explicit fsid keeps file handles valid over reboots; a client matches its most specific entry first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from storage_node import atomic, system
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.spec import Network

_HEADER = "# Written by storage-node; changes made here are undone by the next `pulumi up`.\n"


@dataclass(frozen=True)
class Export:
    """One environment's directory, its user, who writes and who reads."""

    path: str
    uid: int
    writers: tuple[Network, ...]
    readers: tuple[Network, ...] = field(default=())


def grants(export: Export) -> list[tuple[Network, bool]]:
    """Every client block and whether it may write, most specific first.

    Where a block is both a writer's and a reader's, writing wins; a block inside a wider one that grants no less
    is left out.
    """
    writers = _outermost(export.writers)
    readers = [r for r in _outermost(export.readers) if not any(_within(r, w) for w in writers)]
    both = [(network, True) for network in writers] + [(network, False) for network in readers]
    return sorted(both, key=lambda grant: (-_specificity(grant[0]), grant[0].version, int(grant[0].network_address)))


def _outermost(networks: Iterable[Network]) -> list[Network]:
    unique = list(dict.fromkeys(networks))
    return [n for n in unique if not any(n != other and _within(n, other) for other in unique)]


def _within(inner: Network, outer: Network) -> bool:
    if inner.version != outer.version:
        return False
    return inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def _specificity(network: Network) -> int:
    """Larger is more specific; comparable between IPv4 and IPv6 by the size of the block."""
    return network.prefixlen - network.max_prefixlen


def line(export: Export) -> str:
    """The export's line in /etc/exports.d; empty when nobody may reach it."""
    mapping = f"sync,all_squash,anonuid={export.uid},anongid={export.uid},fsid={export.uid},no_subtree_check,sec=sys"
    clients = [f"{_client(network)}({'rw' if writes else 'ro'},{mapping})" for network, writes in grants(export)]
    return f"{export.path} {' '.join(clients)}\n" if clients else ""


def _client(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def render(exports: Iterable[Export]) -> str:
    """The whole file."""
    return _HEADER + "".join(line(export) for export in sorted(exports, key=lambda e: e.path))


def apply(paths: Paths, exports: Iterable[Export]) -> bool:
    """Writes the file and makes the server follow it; returns whether anything was done.

    The table is looked at each time, so an interrupted run or an edit by hand is put right by the next one.
    """
    wanted = list(exports)
    changed = atomic.write(paths.exports, render(wanted))
    if not changed and in_force(paths) == expected(wanted):
        return False
    system.must(["exportfs", "-ra"], "Exporting the environments over NFS")
    there = in_force(paths)
    for (path, client), writes in expected(wanted).items():
        if there.pop((path, client), None) != writes:
            raise NodeError(
                f"The NFS server did not take the export of {path} to {client}; see `exportfs -v` on this node."
            )
    for path, client in there:
        raise NodeError(
            f"{path} is exported to {client} by something else on this node, which opens the environments to others; "
            "take it out of /etc/exports and /etc/exports.d, then run `pulumi up` again."
        )
    return True


def in_force(paths: Paths) -> dict[tuple[str, str], bool]:
    """The exports of the shared directory, what is in it and what holds it: (path, client) to whether it may write."""
    try:
        return parse(paths.export_table.read_text(), paths.data_path)
    except FileNotFoundError:
        return {}


def parse(table: str, data_path: str) -> dict[tuple[str, str], bool]:
    """Reads exportfs' own table (etab): a path, a tab, a client and its options on each line."""
    found: dict[tuple[str, str], bool] = {}
    for entry in table.splitlines():
        path, _, right = entry.partition("\t")
        client, _, options = right.partition("(")
        if path.startswith(f"{data_path}/") or f"{data_path}/".startswith(f"{path.rstrip('/')}/"):
            found[path, _canonical(client)] = options.startswith("rw,")
    return found


def _canonical(client: str) -> str:
    try:
        return _client(ipaddress.ip_network(client))
    except ValueError:
        return client


def clients(exports: Iterable[Export]) -> tuple[Network, ...]:
    """Every address that may reach the NFS port."""
    found: dict[Network, None] = {}
    for export in exports:
        found.update(dict.fromkeys(export.writers + export.readers))
    return tuple(found)


def expected(exports: Iterable[Export]) -> dict[tuple[str, str], bool]:
    """What the server's export table has to hold: (path, client) to whether it may write."""
    return {(e.path, _client(network)): writes for e in exports for network, writes in grants(e)}
