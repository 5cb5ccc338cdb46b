"""glusterd on this node: its identity and peers are files that are there before it starts, TLS from the first start.

The members' UUIDs are chosen by the operator's side, so every node can be told who the others are without a probe, and
a fresh machine in a lost one's place is the same peer to the others. Paths and formats are glusterd's own (tried with
11.1): ``glusterd.info``, ``peers/<uuid>`` (state 3 is "Peer in Cluster"), ``secure-access`` for TLS on management.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage_node import atomic, services, system
from storage_node.cluster.membership import Cluster, Credentials
from storage_node.errors import NodeError
from storage_node.firewall import BRICK_PORTS, MANAGEMENT_PORT
from storage_node.paths import Paths

SERVICE = "glusterd.service"
# Where GlusterFS looks for them (rpc-transport/socket).
PRIVATE_KEY, CERTIFICATE = "/etc/ssl/glusterfs.key", "/etc/ssl/glusterfs.pem"
AUTHORITY = "/etc/ssl/glusterfs.ca"
# What GlusterFS 10 and newer speak; glusterd raises it by itself no further than all peers know.
_OPERATING_VERSION = 110000

# How long another member's glusterd may take to answer before the connection to it is made anew. By default that is
# ten minutes, and nothing else is done meanwhile.
_ANSWER_SECONDS = 60

_SETTINGS = f"""\
# Written by storage-node.
volume management
    type mgmt/glusterd
    option working-directory /var/lib/glusterd
    option transport-type socket
    option transport.socket.keepalive-time 7
    option transport.socket.keepalive-interval 1
    option transport.socket.keepalive-count 3
    option transport.socket.read-fail-log off
    option transport.socket.listen-port {MANAGEMENT_PORT}
    option ping-timeout {_ANSWER_SECONDS}
    option event-threads 1
    option base-port {BRICK_PORTS[0]}
    option max-port {BRICK_PORTS[1]}
end-volume
"""

# For the two programs that take TLS connections: glusterd, and the bricks, which have their environment from it. With
# TLS 1.3 a server sends tickets, by which a session could be resumed, when the handshake is done. GlusterFS resumes
# none, and its client (11.1, socket.c) writes its first request in one thread while another reads the tickets; OpenSSL
# (3.5, ssl_init_wbio_buffer) puts a buffer in front of what is written for as long as it takes up a ticket, and throws
# away what is in there: a connection that is there, and whose first request never left.
_OPENSSL = """\
# Written by storage-node.
openssl_conf = gluster
[gluster]
ssl_conf = tls
[tls]
system_default = server
[server]
NumTickets = 0
Ciphersuites = {ciphers}
"""

# The servers choose, by this order; GlusterFS's own list, which has AES-128 first, holds up to TLS 1.2, and OpenSSL's
# has AES-256 first. Where AES has no fast way through the processor, ChaCha20 is the faster.
_AES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384")
_CHACHA20 = "TLS_CHACHA20_POLY1305_SHA256"
# As /proc/cpuinfo calls what that takes: on x86 OpenSSL's fast AES-GCM begins with AVX.
_FAST_AES = ({"aes", "pclmulqdq", "avx"}, {"aes", "pmull"})
OPENSSL_FILE = "/etc/glusterfs/openssl.cnf"

# Debian's unit takes the bricks down with glusterd: they serve on while it is restarted.
_DROP_IN = """\
# Written by storage-node.
[Unit]
RequiresMountsFor={brick}
StartLimitIntervalSec=0

[Service]
Environment=OPENSSL_CONF={openssl}
KillMode=process
Restart=always
RestartSec=2
"""


def files(paths: Paths) -> dict[Path, str]:
    """The configuration files without secrets."""
    return {
        paths.at("/etc/glusterfs/glusterd.vol"): _SETTINGS,
        paths.at(OPENSSL_FILE): _OPENSSL.format(ciphers=":".join(_ciphers(paths))),
        paths.units / "glusterd.service.d/backup-storage.conf": _DROP_IN.format(
            brick=paths.brick_mount, openssl=OPENSSL_FILE
        ),
    }


def _ciphers(paths: Paths) -> Sequence[str]:
    flags = set(paths.at("/proc/cpuinfo").read_text().split())
    return (*_AES, _CHACHA20) if any(wanted <= flags for wanted in _FAST_AES) else (_CHACHA20, *_AES)


def configure(paths: Paths, name: str, cluster: Cluster, credentials: Credentials) -> bool:
    """Writes all that glusterd starts from; returns whether one that runs has to be started anew."""
    changed = _identity(paths, cluster.member(name).id)
    for path, content in files(paths).items():
        changed |= atomic.write(path, content)
    changed |= atomic.write(paths.at(PRIVATE_KEY), f"{credentials.private_key}\n", 0o600)
    changed |= atomic.write(paths.at(CERTIFICATE), f"{credentials.certificate}\n")
    changed |= atomic.write(paths.at(AUTHORITY), f"{credentials.authority}\n")
    changed |= atomic.write(home(paths, "secure-access"), "")
    for member in cluster.others(name):
        peer = home(paths, f"peers/{member.id}")
        # One that glusterd has written itself may know more names of the peer.
        if not peer.exists() or f"={member.address}\n" not in peer.read_text():
            changed |= atomic.write(peer, f"uuid={member.id}\nstate=3\nhostname1={member.address}\n", 0o600)
    atomic.link(paths.units / "multi-user.target.wants" / SERVICE, f"/usr/lib/systemd/system/{SERVICE}")
    return changed


def _identity(paths: Paths, identity: str) -> bool:
    info = home(paths, "glusterd.info")
    if info.exists():
        present = dict(line.split("=", 1) for line in info.read_text().splitlines() if "=" in line)
        if present.get("UUID") == identity:
            return False
        if any(home(paths, "vols").glob("*/info")):
            raise NodeError(
                f"This node is already a member of another GlusterFS cluster, as {present.get('UUID')}, and has "
                "volumes of it; it was left untouched. Give the stack a machine of its own."
            )
    return atomic.write(info, f"UUID={identity}\noperating-version={_OPERATING_VERSION}\n", 0o600)


def start(paths: Paths, *, restart: bool) -> None:
    """Has glusterd running with what ``configure`` wrote; bricks and clients go on meanwhile."""
    if services.has_systemd(paths):
        _have("restart" if restart else "start")


def restart() -> None:
    """Has glusterd forget what it did not write down; bricks and clients go on meanwhile."""
    _have("restart")


def _have(verb: str) -> None:
    system.must(["systemctl", verb, SERVICE], f"{verb.capitalize()}ing glusterd, the GlusterFS service,")


def home(paths: Paths, name: str) -> Path:
    """Where glusterd keeps what it knows, under its own names."""
    return paths.at(f"/var/lib/glusterd/{name}")
