"""What the node image is made from, and the name that follows from it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from plan.packages import NODE_PACKAGES

SUITE = "trixie"

# Beyond a storage node's packages: what makes a bootable machine of the tree. acpid turns QEMU's power button into
# a clean shutdown without the message bus that logind would need; libnss-myhostname knows the machine's own name.
MACHINE_PACKAGES = ("acpid", "libnss-myhostname", "linux-image-cloud-amd64", "systemd-sysv")

# Virtual size of the root file system; the qcow2 file holds only what is written.
ROOT_SIZE_GB = 16

# Raised when the builder's code changes what comes out of the same files and packages.
BUILDER_VERSION = 1

FILES = Path(__file__).resolve().parent / "node_image"


@dataclass(frozen=True)
class Recipe:
    """The inputs of an image build. Two recipes with the same ``digest`` make interchangeable images."""

    suite: str = SUITE
    packages: tuple[str, ...] = tuple(sorted({*NODE_PACKAGES, *MACHINE_PACKAGES}))
    root_size_gb: int = ROOT_SIZE_GB
    files: Path = FILES

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything that the image is made from."""
        state = hashlib.sha256()
        for part in (str(BUILDER_VERSION), self.suite, str(self.root_size_gb), *self.packages):
            state.update(part.encode() + b"\0")
        for path in sorted(path for path in self.files.rglob("*") if path.is_file()):
            content = path.read_bytes()
            name = path.relative_to(self.files).as_posix()
            state.update(f"{name}\0{len(content)}\0".encode() + content)
        return state.hexdigest()[:16]
