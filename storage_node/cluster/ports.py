"""A brick is reached at the ports that it had before, too.

A brick has another port at each of its starts, and clients ask glusterd for it. A client that is told of one where
nobody listens any more dials that one for good, for it asks anew only after it was connected (11.1, rpc-clnt.c and
client.c). So the ports of before lead to the one that the brick has now.
"""

from __future__ import annotations

from storage_node import system
from storage_node.paths import Paths

# One of its own: the firewall's is replaced by the stack, which does not know the ports.
TABLE = "backup_storage_brick"

# What comes from this very node passes elsewhere. Whom the firewall lets in is decided afterwards.
_RULES = """\
add table inet {table}
delete table inet {table}
table inet {table} {{
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local tcp dport {{ {former} }} redirect to :{port}
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		fib daddr type local tcp dport {{ {former} }} redirect to :{port}
	}}
}}
"""


class Keeper:
    """Has new connections to the ports that this node's brick has had end at the one that it has."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._ports: list[int] = []

    def look(self, brick: int | None) -> None:
        """Follows the brick to its port; ``brick`` is its process id. Raises NodeError when the rules are refused."""
        port = None if brick is None else _port(self._paths, brick)
        if port is None or port in self._ports[-1:]:
            return
        former = [other for other in self._ports if other != port]
        if former:
            rules = _RULES.format(table=TABLE, former=", ".join(map(str, former)), port=port)
            system.must(["nft", rules], "Leading the brick's former ports to its new one")
        self._ports = [*former, port]


def _port(paths: Paths, pid: int) -> int | None:
    """The port that a brick was started with; None when it has ended."""
    try:
        words = paths.at(f"/proc/{pid}/cmdline").read_text().split("\0")
        return int(words[words.index("--brick-port") + 1])
    except (OSError, ValueError, IndexError):
        return None
