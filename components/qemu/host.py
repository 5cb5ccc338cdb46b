"""What the host has to have: QEMU to run machines, and Debian's tools to build their image."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from components.qemu import image

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What is looked for, and the Debian package that brings it.
RUN_TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "ssh": "openssh-client"}
BUILD_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    KEYRING: "debian-archive-keyring",
    "mkfs.ext4": "e2fsprogs",
    "unshare": "util-linux",
}
# Building without root needs other user ids to give to files.
ROOTLESS_TOOLS = {"newuidmap": "uidmap", "fakeroot": "fakeroot"}


class HostError(RuntimeError):
    """The host lacks something that could not be installed."""


def missing_packages() -> list[str]:
    """The Debian packages that have to be installed first; empty when the host is ready."""
    tools = dict(RUN_TOOLS)
    if image.find() is None:
        tools |= BUILD_TOOLS
        if os.geteuid() != 0:
            tools |= ROOTLESS_TOOLS
    return sorted(package for tool, package in tools.items() if not _present(tool))


def setup(progress: Callable[[str], None]) -> None:
    """Install what is missing, with sudo where needed. Raises HostError with the command that would do it."""
    packages = missing_packages()
    if not packages:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    by_hand = f"sudo apt-get update && sudo {' '.join(install)}"
    if shutil.which("apt-get") is None:
        raise HostError(f"missing on this computer, which has no apt: {', '.join(packages)}")
    prefix = _privilege()
    if prefix is None:
        raise HostError(f"installing {', '.join(packages)} needs root. Run: {by_hand}")
    progress(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], install):
        if subprocess.run([*prefix, *command], env=environment, check=False).returncode != 0:
            raise HostError(f"{' '.join(command)} failed. When the cause is mended, run: {by_hand}")
    if still := missing_packages():
        raise HostError(f"still missing after their installation: {', '.join(still)}")


def _present(tool: str) -> bool:
    return Path(tool).exists() if tool.startswith("/") else shutil.which(tool, path=image.tool_path()) is not None


def _privilege() -> list[str] | None:
    """What goes before a command that needs root, or None where there is no way to it."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n"]
    # A person at a terminal can be asked.
    return ["sudo"] if sys.stdin.isatty() else None
