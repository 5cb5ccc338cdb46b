"""What a machine is: its definition on disk, enough to start it again after a power loss."""

import hashlib
import ipaddress
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from components.qemu import files

FILE = "machine.json"

# The network between a stack's machines; each stack has one of its own, so all can have the same addresses.
NETWORK = ipaddress.IPv4Network("10.77.0.0/24")

# The port on a machine's own loopback address that leads to its SSH server.
SSH_PORT = 2222


def check_address(address: str) -> str:
    """The address itself, when a machine can have it on the stack's network. Raises ValueError."""
    if ipaddress.IPv4Address(address) not in list(NETWORK.hosts()):
        raise ValueError(f"the private address {address} is not one of a machine in {NETWORK}")
    return address


@dataclass(frozen=True)
class MachineSpec:
    """What a machine should be. ``host_private_key`` is the only secret; it reaches the machine through a file.

    Keys are in OpenSSH's forms; ``private_address`` is an IPv4 address on the stack's own network, 10.77.0.1 to
    10.77.0.254; ``disks`` names data disks, which the guest sees as /dev/disk/by-id/virtio-<serial>;
    ``shared_addresses`` are those that it may take in turn with other machines.
    """

    name: str
    private_address: str
    authorized_key: str
    host_public_key: str
    host_private_key: str
    cpus: int = 1
    memory_mb: int = 1024
    disks: tuple[str, ...] = ()
    shared_addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for address in (self.private_address, *self.shared_addresses):
            check_address(address)


@dataclass(frozen=True)
class Definition:
    """One machine as it is kept in its directory. Holds no secret.

    ``instance`` is new with every fresh root disk; ``owner`` names whoever made or adopted the machine last.
    """

    name: str
    instance: str
    owner: str
    image: str
    address: str
    private_address: str
    cpus: int
    memory_mb: int
    disks: tuple[str, ...]
    identity: str
    shared_addresses: tuple[str, ...] = ()
    ssh_port: int = SSH_PORT

    def save(self, directory: Path) -> None:
        """Keep it in the machine's directory."""
        files.write(directory / FILE, json.dumps(asdict(self), indent=2) + "\n", 0o644)

    @classmethod
    def load(cls, directory: Path) -> "Definition | None":
        """The definition in this directory, or None when there is no finished one."""
        try:
            stored = json.loads((directory / FILE).read_text())
        except FileNotFoundError:
            return None
        lists = {key: tuple(stored.get(key, ())) for key in ("disks", "shared_addresses")}
        return cls(**{**stored, **lists})


def identity(spec: MachineSpec) -> str:
    """A digest of the public half of what the machine is given at its start: it tells when a restart is due."""
    public = "\n".join((spec.authorized_key.strip(), spec.host_public_key.strip(), spec.private_address))
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def loopback_address(place: str, attempt: int) -> str:
    """A loopback address of a machine's own: the same place gives the same address, ``attempt`` the next one."""
    first, second, third = hashlib.sha256(f"{place}#{attempt}".encode()).digest()[:3]
    # 127.0.0.0/16 is left to everything else on the computer; .0 and .255 look like networks to some tools.
    return f"127.{1 + first % 254}.{second}.{1 + third % 254}"
