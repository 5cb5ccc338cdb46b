"""A machine's root disk: an overlay on the node image, which the stack keeps for as long as it has machines."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

from components.qemu.image import Image
from components.qemu.layout import StackDirectory


def adopt(stack: StackDirectory, image: Image) -> str:
    """Keep the image within the stack, so that a cache that is emptied takes no machine's root disk away."""
    kept = stack.images / image.directory.name
    if not kept.exists():
        making = stack.images / f"making-{os.getpid()}-{threading.get_ident()}"
        shutil.rmtree(making, ignore_errors=True)
        shutil.copytree(image.directory, making, copy_function=_link_or_copy)
        try:
            making.rename(kept)
        except OSError:
            # Another machine of the stack was quicker.
            shutil.rmtree(making)
    return kept.name


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def make(path: Path, backing: str) -> None:
    """An empty root disk on top of the image, which it names relative to itself."""
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2", path.name],
        cwd=path.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    # It holds the machine's private keys.
    path.chmod(0o600)
