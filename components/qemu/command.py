"""The QEMU command line of a machine. All paths are relative to the machine's directory, and it holds no secret."""

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from components.qemu import counter, credentials, process, qmp
from components.qemu.definition import Definition
from components.qemu.disk import serial_of
from components.qemu.switch import PAYLOAD_BYTES, SOCKET, SUFFIX, hardware_address

ROOT_DISK = "root.qcow2"
PID_FILE = "qemu.pid"
CONSOLE = "console.log"

# Memory for translated code under emulation. A boot fills about 480 MB; QEMU's default of 1 GB would double what a
# small machine takes, and a full one is only emptied and filled again.
TRANSLATION_MB = 512

# The neighbours of a machine's directory (see layout), as seen from it.
IMAGES, DISKS, NETWORK = "../../images", "../../disks", "../../network"

# The one address that the node image's user-mode network file looks for; no two machines share that network.
OUTBOUND_HARDWARE = "52:54:00:0a:02:0f"

# Measured boots: a file system check, names for network cards, and speculation guards cost seconds under emulation
# and give nothing here (ext4 replays its journal by itself, and the guest runs one tenant's code).
# no_timer_check: on a busy computer the timer's first ticks come so late that Linux takes an emulated one for broken,
# and hangs ("8254 timer not connected to IO-APIC"). Under KVM it leaves the check out by itself.
# panic: a kernel that has come to its end starts anew after so many seconds, instead of standing there for good.
KERNEL_LINE = "console=ttyS0 quiet mitigations=off net.ifnames=0 fsck.mode=skip no_timer_check panic=10"

# QEMU translates code anew for each address that it runs at, so where each process gets addresses of its own, every
# start of a program is translated again. Measured without: a boot takes 0.74 and a program's start 0.39 of the time.
# Linux gives the processor's counter up as its clock when a look at it came late, as on a busy computer it does. The
# HPET that it takes then waits for QEMU's other threads at each look: 113 us, where one by the counter took 12.
# OpenSSL's SSSE3 code shuffles bytes, which QEMU does one by one: without it ChaCha20 is three times as fast (108 MB/s
# instead of 32). The variable is OpenSSL's own: restic, for one, takes no notice of it.
_WITHOUT_SSSE3 = {"OPENSSL_ia32cap": "~0x20000000000"}
_IN_SERVICES = " ".join(f"systemd.setenv={name}={value}" for name, value in _WITHOUT_SSSE3.items())
EMULATED_KERNEL_LINE = f"{KERNEL_LINE} norandmaps tsc=nowatchdog {_IN_SERVICES}"

# How fast the counter runs is measured at each start, a little differently each time.
_COUNTER = " tsc_early_khz={khz}"
_ANY_COUNTER = re.compile(_COUNTER.format(khz=r"\d+"))


@cache
def has_kvm() -> bool:
    """Whether processor and device allow virtual machines that are not emulated."""
    with Path("/proc/cpuinfo").open() as cpus:
        flags = next((line.split() for line in cpus if line.startswith("flags")), [])
    return bool({"vmx", "svm"} & set(flags)) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def accelerator() -> tuple[str, ...]:
    """KVM where there is one, else emulation.

    The emulated model matters: with Westmere restic hashes and encrypts several times faster than with QEMU's
    default or its fullest model, since emulated AVX is slow. Without CMPXCHG16B, after which QEMU 7.2 leaves the
    processor's flags at random for an interrupt to save: Linux, which allocates memory by it, then dies of a double
    fault (seen once, on one of five machines). It has another way where there is none.
    """
    if has_kvm():
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", f"tcg,thread=multi,tb-size={TRANSLATION_MB}", "-cpu", "Westmere,-cx16")


def environment() -> dict[str, str]:
    """What is to be set in each SSH session on a machine; its services have it from the kernel's line."""
    return {} if has_kvm() else _WITHOUT_SSSE3


def drive(node: str, path: str, serial: str) -> list[str]:
    """A virtio disk; the guest finds it by its serial."""
    return [
        "-blockdev",
        f"driver=qcow2,node-name={node},discard=unmap,detect-zeroes=unmap,"
        f"file.driver=file,file.discard=unmap,file.filename={path}",
        "-device",
        f"virtio-blk-pci,drive={node},serial={serial}",
    ]


def is_of(line: Sequence[str], definition: Definition) -> bool:
    """Whether a machine that was started by this line is as it is defined."""
    return [_ANY_COUNTER.sub("", word) for word in line] == arguments(definition)


def starting(definition: Definition) -> list[str]:
    """QEMU's whole command line, with what a machine that starts now is told of this computer."""
    khz = None if has_kvm() else counter.khz()
    return arguments(definition, "" if khz is None else _COUNTER.format(khz=khz))


def arguments(definition: Definition, parameters: str = "") -> list[str]:
    """QEMU's command line as far as the definition tells it; ``parameters`` go to the kernel, too."""
    private = definition.private_address
    port = f"{NETWORK}/{private}{SUFFIX}"
    kernel_line = KERNEL_LINE if has_kvm() else EMULATED_KERNEL_LINE
    kernel_line += f" systemd.hostname={definition.name} node.identity={definition.identity}{parameters}"
    line = [process.QEMU, "-name", definition.name, "-nodefaults", "-no-user-config", "-display", "none"]
    line += ["-M", "q35,usb=off", *accelerator(), "-smp", str(definition.cpus), "-m", str(definition.memory_mb)]
    line += ["-kernel", f"{IMAGES}/{definition.image}/vmlinuz", "-initrd", f"{IMAGES}/{definition.image}/initrd"]
    line += ["-append", kernel_line]
    line += drive("root", ROOT_DISK, "root")
    for number, name in enumerate(definition.disks):
        line += drive(f"data{number}", f"{DISKS}/{name}.qcow2", serial_of(name))
    forward = f"hostfwd=tcp:{definition.address}:{definition.ssh_port}-:22"
    line += ["-netdev", f"user,id=outbound,ipv6=off,{forward}"]
    line += ["-device", f"virtio-net-pci,netdev=outbound,mac={OUTBOUND_HARDWARE},romfile="]
    ends = f"local.type=unix,local.path={port},remote.type=unix,remote.path={NETWORK}/{SOCKET}"
    line += ["-netdev", f"dgram,id=storage,{ends}"]
    hardware = hardware_address(private).hex(":")
    line += ["-device", f"virtio-net-pci,netdev=storage,mac={hardware},host_mtu={PAYLOAD_BYTES},romfile="]
    line += ["-smbios", f"type=11,path={credentials.DIRECTORY}/{credentials.NAME}"]
    line += ["-device", "virtio-rng-pci", "-serial", f"file:{CONSOLE}", "-pidfile", PID_FILE]
    return [*line, "-qmp", f"unix:{qmp.SOCKET},server=on,wait=off"]


def port_socket(network: Path, definition: Definition) -> Path:
    """The machine's port on the stack's switch."""
    return network / f"{definition.private_address}{SUFFIX}"
