"""The node's firewall: SSH from the administrators, NFS from the environments' clients, nothing else.

In a cluster it also sees to it that a member talks to the others from no address but its own.

One nftables table of our own, replaced as a whole in one transaction, and the same file at every boot before the
network comes up. Other tables are left alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from storage_node import atomic, system
from storage_node.cluster.membership import Cluster
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.spec import Network

TABLE = "backup_storage"
SSH_PORT = 22
NFS_PORT = 2049
# glusterd, its brick, the keeper of the floating address, and who gives a member that lost its brick a copy.
MANAGEMENT_PORT = 24007
BRICK_PORTS = (49152, 49251)
KEEPER_PORT = 24010
DONOR_PORT = 24011

# RFC 4890: without these IPv6 does not work. Neighbour discovery has to come from the link itself (hop limit 255).
_TEMPLATE = """\
#!/usr/sbin/nft -f
# Written by storage-node; changes made here are undone by the next `pulumi up`.
add table inet {table}
delete table inet {table}
table inet {table} {{
{sets}
	chain input {{
		type filter hook input priority filter; policy drop;
		iif lo accept
{strict}
		ct state vmap {{ established : accept, related : accept, invalid : drop }}
		ip protocol icmp icmp type {{ echo-request, destination-unreachable, time-exceeded, parameter-problem }} accept
		icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect }} ip6 hoplimit 255 accept
		icmpv6 type {{ echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem }} accept
		ip6 saddr fe80::/10 udp dport 546 accept
{rules}
	}}
{own}}}
"""

# GlusterFS keeps the source address of a connection for all that follow it. When a network card loses its link and,
# with it, its address, a connection tries its luck by another card, and would go on with that card's address for good
# when the link is back: the others answer on another way, and the member stays cut off.
_OWN = """
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr @members_v4 ip saddr != {address} snat ip to {address}
	}}
"""


@dataclass(frozen=True)
class Opening:
    """Ports (or ranges of them, "a-b") that some sources may reach; ``name`` becomes the name of the set of sources.

    A ``strict`` one also ends the connections that are open when a source is taken out.
    """

    name: str
    ports: tuple[int | str, ...]
    sources: tuple[Network, ...]
    strict: bool = True
    protocol: str = "tcp"


def openings(ssh: Iterable[Network], nfs: Iterable[Network], cluster: Cluster | None = None) -> list[Opening]:
    """What a node has open; the members of a cluster reach each other's GlusterFS and keepers besides."""
    found = [Opening("ssh", (SSH_PORT,), tuple(ssh), strict=False), Opening("nfs_clients", (NFS_PORT,), tuple(nfs))]
    if cluster is not None:
        members = tuple(ipaddress.ip_network(member.address) for member in cluster.members)
        found.append(Opening("members", (MANAGEMENT_PORT, DONOR_PORT, "-".join(map(str, BRICK_PORTS))), members))
        if cluster.floating_address is not None:
            found.append(Opening("keepers", (KEEPER_PORT,), members, strict=False, protocol="udp"))
    return found


def ruleset(ssh: Iterable[Network], nfs: Iterable[Network], name: str, cluster: Cluster | None) -> str:
    """The whole ruleset of a node of that name as text for `nft -f`."""
    own = "" if cluster is None else _OWN.format(address=cluster.member(name).address)
    return render(openings(ssh, nfs, cluster), own)


def render(allowed: Iterable[Opening], own: str = "") -> str:
    """A ruleset as text for `nft -f`: what is open, and the chain for the node's own connections."""
    sets: list[str] = []
    strict: list[str] = []
    lenient: list[str] = []
    for opening in allowed:
        ports = ", ".join(str(port) for port in opening.ports)
        rules = strict if opening.strict else lenient
        for version, family, kind in ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")):
            name = f"{opening.name}_v{version}"
            sources = list(_collapse(opening.sources, version))
            elements = f"\n\t\telements = {{ {', '.join(map(str, sources))} }}" if sources else ""
            sets.append(f"\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval{elements}\n\t}}\n")
            rules.append(f"\t\t{opening.protocol} dport {{ {ports} }} {family} saddr @{name} accept")
        if opening.strict:
            rules.append(f"\t\t{opening.protocol} dport {{ {ports} }} drop")
    text = {"sets": sets, "strict": strict, "rules": lenient}
    return _TEMPLATE.format(table=TABLE, own=own, **{name: "\n".join(lines) for name, lines in text.items()})


def _collapse(sources: Iterable[Network], version: int) -> Iterable[Network]:
    """Joins overlapping blocks: nft refuses intervals that overlap."""
    if version == 4:
        return ipaddress.collapse_addresses(n for n in sources if isinstance(n, ipaddress.IPv4Network))
    return ipaddress.collapse_addresses(n for n in sources if isinstance(n, ipaddress.IPv6Network))


def refuse_lockout(ssh: Iterable[Network], connection: str | None) -> None:
    """Raises NodeError when the address that this session came from (SSH_CONNECTION) would be shut out."""
    if not connection:
        return
    peer = ipaddress.ip_address(connection.split()[0].partition("%")[0])
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    allowed = list(ssh)
    if not any(peer in network for network in allowed):
        listed = ", ".join(map(str, allowed)) or "nobody"
        raise NodeError(
            f"adminCidrs would shut out the machine that runs `pulumi up`: this SSH session comes from {peer}, "
            f"and only {listed} would be let in. Add it to adminCidrs; the firewall was left as it is."
        )


def apply(paths: Paths, text: str) -> bool:
    """Loads a ruleset and keeps it for the next boot; returns whether anything had to be done.

    The file is written after the kernel has taken the rules, so that a ruleset it refuses never waits for a reboot.
    """
    atomic.link(paths.units / "sysinit.target.wants" / "nftables.service", "/usr/lib/systemd/system/nftables.service")
    if drift(paths, text) is None:
        return False
    candidate = paths.nftables.with_name("nftables.conf.new")
    atomic.write(candidate, text, 0o600)
    system.must(["nft", "-f", str(candidate)], "Loading the firewall")
    atomic.write(paths.nftables, text, 0o755)
    candidate.unlink()
    atomic.write_private(_record(paths), _digest(text, _loaded() or ""))
    return True


def drift(paths: Paths, text: str) -> str | None:
    """What is wrong with the firewall, in words; None when the kernel and the next boot have just this ruleset.

    The kernel lists rules in words of its own, so what it listed right after loading is what it is compared with.
    """
    loaded = _loaded()
    if loaded is None:
        return "The firewall is not loaded."
    if not paths.nftables.exists() or paths.nftables.read_text() != text:
        return f"{paths.nftables} is not what this stack asks for."
    try:
        known = _record(paths).read_text()
    except FileNotFoundError:
        known = ""
    return None if known == _digest(text, loaded) else "The firewall's rules are not those that were loaded."


def _loaded() -> str | None:
    """Our table as the kernel has it, without counters; None when it has none."""
    result = system.run(["nft", "-s", "list", "table", "inet", TABLE])
    return None if result.status else result.stdout


def _record(paths: Paths) -> Path:
    return paths.settings / "firewall"


def _digest(text: str, loaded: str) -> str:
    return hashlib.sha256(f"{text}\0{loaded}".encode()).hexdigest()


def connection() -> str | None:
    """How this session came in, as sshd says; None when it is not one."""
    return os.environ.get("SSH_CONNECTION")
