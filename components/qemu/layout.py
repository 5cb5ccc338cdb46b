"""Where the parts of one stack lie on the computer.

    <root>/network/            the stack's switch: socket, ports, lock, log
    <root>/images/<digest>/    hard links to the node image that machines here were made from
    <root>/disks/<name>.qcow2  data disks; they outlive their machines
    <root>/machines/<name>/    one machine: definition, root disk, credentials, sockets, logs

The root may be given relative to the project, so that a project directory that is moved keeps its machines.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def check_name(name: str, what: str) -> str:
    """The name itself, when it can name a file, a host and a disk. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} {name!r}: a name has 1 to 63 of a-z, 0-9, '.' and '-', and begins and ends with a letter or digit"
        )
    return name


@dataclass(frozen=True)
class StackDirectory:
    """The directory that holds everything of one stack on the local platform."""

    root: Path

    @classmethod
    def of(cls, root: str) -> "StackDirectory":
        """The stack directory of that path; a relative one begins at the project."""
        return cls(PROJECT / root)

    @property
    def network(self) -> Path:
        """The switch's directory."""
        return self.root / "network"

    @property
    def images(self) -> Path:
        """Where the images of the machines here are kept."""
        return self.root / "images"

    def machine(self, name: str) -> Path:
        """A machine's directory. Raises ValueError for a name that cannot be one."""
        return self.root / "machines" / check_name(name, "machine")

    def disk(self, name: str) -> Path:
        """A data disk's file. Raises ValueError for a name that cannot be one."""
        return self.root / "disks" / f"{check_name(name, 'disk')}.qcow2"

    def machine_names(self) -> list[str]:
        """Every machine that has been defined here, finished or not."""
        return sorted(path.parent.name for path in self.root.glob("machines/*/machine.json"))
