"""The members' addresses in /etc/hosts, so that glusterd waits for no name server.

Whenever another member connects, glusterd (11.1, ``glusterd_remote_hostname_get``) asks for the name of its address, in
the one thread that does everything else too: no other request is answered until the name server has said that there is
none, or has been given up after 10 s. Each address is given itself as its name, which is what glusterd takes where it
finds none.
"""

from __future__ import annotations

from storage_node import atomic
from storage_node.cluster.membership import Cluster
from storage_node.paths import Paths

# At the end of our lines: all others are the administrator's.
_MARK = "# backup storage"


def configure(paths: Paths, cluster: Cluster) -> None:
    """Writes a line for each member, and takes away those of earlier ones."""
    file = paths.at("/etc/hosts")
    found = file.read_text().splitlines() if file.exists() else []
    lines = [line for line in found if not line.endswith(_MARK)]
    lines += [f"{member.address} {member.address} {_MARK}" for member in cluster.members]
    atomic.write(file, "\n".join(lines) + "\n")
