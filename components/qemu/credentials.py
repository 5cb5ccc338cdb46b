"""What a machine is told at its start, as systemd credentials in files that only QEMU reads.

QEMU takes each file over as an SMBIOS string, so neither its command line nor its environment holds a key, and the
guest shows the strings to its root only (systemd documentation: System and Service Credentials).
"""

import base64
from collections.abc import Mapping
from pathlib import Path

from components.qemu import files
from components.qemu.definition import NETWORK, MachineSpec
from components.qemu.switch import PAYLOAD_BYTES, hardware_address

DIRECTORY = "credentials"

# Lines that systemd-tmpfiles carries out at every boot.
NAME = "tmpfiles.extra"

_NETWORK = """[Match]
MACAddress={hardware}

[Link]
MTUBytes={payload}

[Network]
Address={address}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


def write(machine: Path, spec: MachineSpec, environment: Mapping[str, str]) -> None:
    """Put the machine's credentials into its directory, readable by its owner only.

    environment: what the SSH server sets in each session, which has nothing of what services are given.
    """
    directory = machine / DIRECTORY
    directory.mkdir(mode=0o700, exist_ok=True)
    # The ":binary" form takes base64, which has none of the commas that QEMU and SMBIOS treat specially.
    files.write(directory / NAME, f"io.systemd.credential.binary:{NAME}={_base64(_lines(spec, environment))}")


def _lines(spec: MachineSpec, environment: Mapping[str, str]) -> str:
    """Write keys, network and environment before networking and the SSH server start, whatever was there before."""
    key = "/etc/ssh/ssh_host_ed25519_key"
    variables = "".join(f"SetEnv {name}={value}\n" for name, value in environment.items())
    return "".join(
        f"{line}\n"
        for line in (
            "d /root/.ssh 0700 root root -",
            f"f+~ /root/.ssh/authorized_keys 0600 root root - {_base64(_ended(spec.authorized_key))}",
            f"f+~ {key} 0600 root root - {_base64(_ended(spec.host_private_key))}",
            f"f+~ {key}.pub 0644 root root - {_base64(_ended(spec.host_public_key))}",
            f"f+~ /etc/systemd/network/20-storage.network 0644 root root - {_base64(_network(spec))}",
            f"f+~ /etc/ssh/sshd_config.d/10-environment.conf 0644 root root - {_base64(variables)}",
        )
    )


def _network(spec: MachineSpec) -> str:
    hardware = hardware_address(spec.private_address).hex(":")
    return _NETWORK.format(
        hardware=hardware, payload=PAYLOAD_BYTES, address=f"{spec.private_address}/{NETWORK.prefixlen}"
    )


def _ended(text: str) -> str:
    return text.strip() + "\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
