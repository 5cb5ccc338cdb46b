"""The Debian packages that a node needs: baked into the image, or installed here on a machine that lacks them.

Their versions are those of the release that the storage is made for. Debian's security updates, which a node installs
by itself, leave the upstream version as it is, so another one was put there by somebody (`restic self-update`, another
release's package) and is drift.
"""

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
# Debian 13 (its backports for NFS-Ganesha), up to where a security update changes a version.
RELEASE = {
    "glusterfs-server": "11.1-",
    "nfs-ganesha-gluster": "9.",
    "nfs-kernel-server": "1:2.8.",
    "nftables": "1.1.",
    "restic": "0.18.",
    "xfsprogs": "6.13.",
}
# The first with exit statuses that mean something (10 to 12) and --json for key lists.
OLDEST_RESTIC = (0, 17)
INSTALL_SECONDS = 900.0


def needed(topology: str) -> dict[str, str]:
    """The programs that a node of this topology needs, and the package that each comes from."""
    return NEEDED if topology == "standalone" else {**NEEDED, **CLUSTER}


def settle(paths: Paths, topology: str) -> None:
    """Installs what is missing and puts what is of another version right; raises NodeError when that fails."""
    missing = {package for program, package in needed(topology).items() if not which(program)}
    wrong = drift(paths, topology)
    if not missing and not wrong:
        return
    wanted = [f"{name}={RELEASE[name]}*" if name in RELEASE else name for name in sorted(missing | wrong.keys())]
    options = ["-q", "-y", "--no-install-recommends", "--reinstall", "--allow-downgrades"]
    # An edited file of settings would make dpkg ask which one to keep; nobody is there to answer.
    options += ["-o", "Dpkg::Options::=--force-confold"]
    for arguments in (["update", "-q"], ["install", *options, *wanted]):
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        done = system.run(["apt-get", *arguments], environment=environment, timeout=INSTALL_SECONDS)
        if done.status:
            raise NodeError(
                f"This node needs {', '.join(wanted)} and cannot install that: {done.last_words}. "
                "Debian 13 with access to its package mirror is needed."
            )
    left = drift(paths, topology)
    if left:
        raise NodeError(f"The packages were installed anew, and still: {' '.join(left.values())}")


def installed(paths: Paths, topology: str) -> dict[str, str]:
    """The versions of the needed packages by dpkg's own record; empty where there is none."""
    try:
        record = paths.packages.read_text(errors="replace")
    except FileNotFoundError:
        return {}
    wanted, found = set(needed(topology).values()), {}
    for entry in record.split("\n\n"):
        name = entry.partition("\n")[0].removeprefix("Package: ")
        if name in wanted and "\nStatus: install ok installed\n" in entry:
            found[name] = entry.partition("\nVersion: ")[2].partition("\n")[0]
    return found


def drift(paths: Paths, topology: str) -> dict[str, str]:
    """What is not as the release has it, a sentence for each package; nothing where dpkg keeps no record."""
    versions = installed(paths, topology)
    if not versions:
        return {}
    wrong = {
        name: f"The package {name} is not installed." for name in needed(topology).values() if name not in versions
    }
    for name, wanted in RELEASE.items():
        if name in versions and not versions[name].startswith(wanted):
            wrong[name] = f"The package {name} has version {versions[name]}; this stack uses {wanted}*."
    if "restic" in versions and "restic" not in wrong:
        upstream = re.split("[-+~]", versions["restic"])[0]
        try:
            running = restic_version(paths)
        except NodeError as error:
            wrong["restic"] = str(error)
        else:
            if running != upstream:
                wrong["restic"] = f"The program restic is {running}, its package {versions['restic']}: it was replaced."
    return wrong


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
