"""The Debian packages that a node needs: baked into the image, or installed here on a machine that lacks them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from storage_node import atomic, system
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.restic import command

# A program that shows that the package is there, and the package.
NEEDED: dict[str, str] = {
    "mkfs.xfs": "xfsprogs",
    "exportfs": "nfs-kernel-server",
    "nft": "nftables",
    "restic": "restic",
    "unattended-upgrade": "unattended-upgrades",
}
# What a member of a cluster needs besides. NFS-Ganesha of Debian 13 itself (6.5) crashes on removals on GlusterFS, so
# it is to come from trixie-backports (9.14), which a machine that installs here has to have among its sources.
CLUSTER = {"glusterd": "glusterfs-server", "ganesha.nfsd": "nfs-ganesha-gluster"}
# The first with exit statuses that mean something (10 to 12) and --json for key lists.
OLDEST_RESTIC = (0, 17)
INSTALL_SECONDS = 900.0


def install_missing(topology: str) -> None:
    """Installs what is missing; raises NodeError when that fails."""
    needed = NEEDED if topology == "standalone" else {**NEEDED, **CLUSTER}
    missing = sorted({package for program, package in needed.items() if not which(program)})
    if missing:
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *missing]):
            done = system.run(["apt-get", *arguments], environment=environment, timeout=INSTALL_SECONDS)
            if done.status:
                raise NodeError(
                    f"This node lacks the packages {', '.join(missing)} and cannot install them: {done.last_words}. "
                    "Debian 13 with access to its package mirror is needed."
                )


def require_restic(paths: Paths) -> None:
    """Raises NodeError when restic is too old."""
    version = restic_version(paths)
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_RESTIC:
        raise NodeError(f"restic {version} is too old on this node; 0.17 or newer is needed (Debian 13 has 0.18).")


def which(program: str) -> Path | None:
    """Where a program is, on the same path as `system.run` uses."""
    found = shutil.which(program, path=system.PATH)
    return Path(found) if found else None


def restic_version(paths: Paths) -> str:
    """The installed restic's version, asked for once per binary: starting it costs as much as all other checks."""
    binary = which("restic")
    if binary is None:
        raise NodeError("The program restic is not installed on this node.")
    state = binary.stat()
    identity = [str(binary), state.st_size, state.st_mtime_ns]
    record = paths.cache / "restic-version.json"
    try:
        value = json.loads(record.read_text())
        if value["binary"] == identity:
            return str(value["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    version = command.version()
    atomic.write_private(record, json.dumps({"binary": identity, "version": version}))
    return version
