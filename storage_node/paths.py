"""Where everything lives on a node, below one root so that a test can have a node of its own."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

# Hidden names in the shared directory: they cannot be environments, are exported to nobody, and are removed when found.
UNFINISHED_PREFIX = ".new-"
PURGED_PREFIX = ".purged-"


class Paths:
    """Every file and directory that the program reads or writes.

    ``root`` is "/" on a node. ``data_path`` is the shared directory as the node names it (normally /data).
    A plain class: the answers to the add-on are quicker without what a dataclass would import.
    """

    def __init__(self, root: Path = Path("/"), data_path: str = "/data") -> None:
        self.root = root
        self.data_path = data_path

    def at(self, absolute: str) -> Path:
        """The place of an absolute path below this root."""
        return self.root / absolute.lstrip("/")

    @property
    def data(self) -> Path:
        """The shared directory."""
        return self.at(self.data_path)

    def repository(self, environment: str) -> Path:
        """An environment's repository."""
        return self.data / environment

    @property
    def uid_counter(self) -> Path:
        """On the data disk, so that it outlives the machine; a dot cannot begin an environment's name."""
        return self.data / ".storage-node" / "next-uid"

    @property
    def members_lock(self) -> Path:
        """On the volume of a cluster: held by the member that is changing the repositories."""
        return self.uid_counter.with_name("lock")

    @property
    def settings(self) -> Path:
        """Everything that the program remembers, root-only."""
        return self.at("/etc/storage-node")

    @property
    def node_file(self) -> Path:
        """What `configure` was asked for: no secrets, read by the other steps."""
        return self.settings / "node.json"

    @property
    def access_file(self) -> Path:
        """Who may reach which environment, as last asked for: no secrets."""
        return self.settings / "access.json"

    @property
    def passwords(self) -> Path:
        """The active environments' passwords, a file each."""
        return self.settings / "passwords"

    @property
    def withdrawn(self) -> Path:
        """Passwords of environments that were taken out of the settings, kept to open them again."""
        return self.settings / "withdrawn"

    @property
    def readers(self) -> Path:
        """The readers' passwords: a directory for each environment, a file for each reader."""
        return self.settings / "readers"

    @property
    def drafts(self) -> Path:
        """Repositories in the making, in memory."""
        return self.at("/run/storage-node-drafts")

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.at("/var/cache/storage-node")

    @property
    def metrics(self) -> Path:
        """Where Debian's node exporter for Prometheus looks for figures of others."""
        return self.at("/var/lib/prometheus/node-exporter/backup-storage.prom")

    @property
    def lock(self) -> Path:
        """Held by the step that is changing the node."""
        return self.at("/run/storage-node.lock")

    @property
    def exports(self) -> Path:
        """Our exports."""
        return self.at("/etc/exports.d/backup-storage.exports")

    @property
    def export_table(self) -> Path:
        """What the NFS server exports now, as exportfs keeps it."""
        return self.at("/var/lib/nfs/etab")

    @property
    def nfs_conf(self) -> Path:
        """Our settings of the NFS server."""
        return self.at("/etc/nfs.conf.d/backup-storage.conf")

    @property
    def brick_mount(self) -> str:
        """Where a cluster's node mounts its data disk, as the node names it; the volume over all is at /data."""
        return "/brick"

    @property
    def ganesha(self) -> Path:
        """A cluster node's NFS server: its settings and exports."""
        return self.at("/etc/ganesha/ganesha.conf")

    @property
    def ganesha_loaded(self) -> Path:
        """The digest of the settings that the running server has taken over; gone when it stops."""
        return self.at("/run/ganesha/loaded")

    @property
    def cluster_secret(self) -> Path:
        """What the members sign the messages about the floating address with."""
        return self.settings / "cluster-secret"

    @property
    def floating_state(self) -> Path:
        """What this node last knew of the floating address."""
        return self.at("/run/storage-node/floating.json")

    @property
    def floating_members(self) -> Path:
        """The cluster as the running keeper of the floating address knows it; gone when it stops."""
        return self.at("/run/storage-node/members")

    @property
    def nftables(self) -> Path:
        """The firewall, as loaded at boot."""
        return self.at("/etc/nftables.conf")

    @property
    def units(self) -> Path:
        """This machine's own systemd units."""
        return self.at("/etc/systemd/system")

    @property
    def vendor_units(self) -> Path:
        """The packages' systemd units."""
        return self.at("/usr/lib/systemd/system")

    @property
    def packages(self) -> Path:
        """dpkg's record of what is installed."""
        return self.at("/var/lib/dpkg/status")

    @property
    def program(self) -> Path:
        """The installed program."""
        return self.at("/usr/local/sbin/storage-node")

    @property
    def library(self) -> Path:
        """The program unpacked and compiled, so that no call pays for compiling it again."""
        return self.at("/usr/local/lib/storage-node")


def of_this_node() -> Paths:
    """The node's own paths; the shared directory is where `configure` put it."""
    paths = Paths()
    with contextlib.suppress(OSError, ValueError, KeyError):
        paths.data_path = json.loads(paths.node_file.read_text())["dataPath"]
    return paths
