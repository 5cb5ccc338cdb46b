"""The network of one stack: a learning switch between the machines, on unix datagram sockets.

It runs as a process of its own inside the network directory, needs nothing but the standard library, keeps no state
on disk and may be restarted while machines run. A machine's port is the socket ``<IPv4 address>.port``, which its
QEMU binds; every machine sends its frames to the socket ``switch``.

A port may only speak as the machine that it belongs to: frames with another hardware address, another IPv4 source
or an ARP claim for another address are dropped, as cloud networks do. Storage exports know their clients by
address, so no machine can take a neighbour's place on this network. Addresses that several machines may take in
turn, such as a cluster's floating one, are listed for each of them in ``<IPv4 address>.shared``.
"""

import errno
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Collection
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

SOCKET = "switch"
SUFFIX = ".port"
SHARED_SUFFIX = ".shared"

# What a frame carries at the most: close to the largest IPv4 packet. Network cards of real machines take that much from
# the kernel at once and cut it themselves; these cannot, and each frame costs an emulated machine a great deal.
PAYLOAD_BYTES = 65000
# Header and a tag.
FRAME_BYTES = PAYLOAD_BYTES + 18

# Frames that wait for a machine that reads slowly; beyond them frames are dropped, as on any switch. The kernel
# itself queues about ten.
BACKLOG_FRAMES = 512

# How often the switch looks whether its directory still exists.
CHECK_SECONDS = 5.0

# A switch to which no machine was connected for so long ends: an engine that was killed between making the network
# and noting it leaves nobody else to end it. A machine that starts brings the switch back.
IDLE_SECONDS = 900.0

_IPV4, _ARP = b"\x08\x00", b"\x08\x06"


def hardware_address(address: str) -> bytes:
    """The hardware address of the machine with this IPv4 address: locally administered, QEMU's prefix."""
    return b"\x52\x54" + socket.inet_aton(address)


def may_send(frame: bytes, hardware: bytes, addresses: Collection[bytes]) -> bool:
    """Whether a frame says the truth about where it comes from."""
    if frame[6:12] != hardware:
        return False
    kind = frame[12:14]
    if kind == _IPV4:
        return frame[26:30] in addresses
    return kind == _ARP and frame[22:28] == hardware and (frame[28:32] == b"\0\0\0\0" or frame[28:32] in addresses)


def shared_addresses(address: str) -> list[str]:
    """The addresses that the machine with this one may take besides."""
    try:
        return Path(f"{address}{SHARED_SUFFIX}").read_text().split()
    except FileNotFoundError:
        return []


class Port:
    """One machine's socket, seen from the switch."""

    def __init__(self, name: str) -> None:
        self.name = name
        address = name.removesuffix(SUFFIX)
        self.addresses = {socket.inet_aton(each) for each in (address, *shared_addresses(address))}
        self.hardware = hardware_address(address)
        self.backlog: deque[bytes] = deque()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(name)

    def send(self, frame: bytes) -> bool:
        """Whether the machine's socket still exists."""
        if self.backlog:
            if len(self.backlog) < BACKLOG_FRAMES:
                self.backlog.append(frame)
            return True
        return self._pass_on(frame)

    def drain(self) -> bool:
        """Send what waits, as far as the machine takes it. Whether its socket still exists."""
        for _ in range(len(self.backlog)):
            before = len(self.backlog)
            if not self._pass_on(self.backlog.popleft()):
                return False
            if len(self.backlog) == before:
                break
        return True

    def _pass_on(self, frame: bytes) -> bool:
        try:
            self.socket.send(frame)
        except BlockingIOError:
            self.backlog.appendleft(frame)
        except OSError as error:
            return error.errno in (errno.ENOBUFS, errno.ENOMEM)
        return True


class Switch:
    """Forwarding between the ports of the working directory."""

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}
        self.selector = selectors.DefaultSelector()
        Path(SOCKET).unlink(missing_ok=True)
        self.inlet = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.inlet.setblocking(False)
        self.inlet.bind(SOCKET)
        self.selector.register(self.inlet, selectors.EVENT_READ)

    def serve(self) -> None:
        """Forward until the directory is removed or nobody is there."""
        in_use = checked = time.monotonic()
        while Path().stat().st_nlink > 0 and time.monotonic() - in_use < IDLE_SECONDS:
            if time.monotonic() - checked > CHECK_SECONDS:
                checked = time.monotonic()
                in_use = checked if self._all() else in_use
            for key, _ in self.selector.select(CHECK_SECONDS):
                if key.data is None:
                    self._receive()
                elif not key.data.drain():
                    self._drop(key.data)
                elif not key.data.backlog:
                    self.selector.unregister(key.data.socket)

    def _receive(self) -> None:
        # A bounded run, so that ports with a backlog get their turn.
        for _ in range(64):
            try:
                frame, sender = self.inlet.recvfrom(FRAME_BYTES)
            except BlockingIOError:
                return
            name = Path(sender).name if isinstance(sender, str) else ""
            source = self._port(name)
            if source is not None and may_send(frame, source.hardware, source.addresses):
                self._forward(frame, source)

    def _forward(self, frame: bytes, source: Port) -> None:
        target = frame[:6]
        if target[:2] == b"\x52\x54":
            port = self._port(f"{socket.inet_ntoa(target[2:])}{SUFFIX}")
            targets = [port] if port is not None else []
        else:
            targets = self._all()
        for port in targets:
            if port is source:
                continue
            waiting = bool(port.backlog)
            if not port.send(frame):
                self._drop(port)
            elif port.backlog and not waiting:
                self.selector.register(port.socket, selectors.EVENT_WRITE, port)

    def _all(self) -> list[Port]:
        """Every machine that is connected now."""
        names = [path.name for path in Path().glob(f"*{SUFFIX}")]
        return [port for name in names if (port := self._port(name)) is not None]

    def _port(self, name: str) -> Port | None:
        """The port of that name: known, or found now. Ports come and go with the machines."""
        if (port := self.ports.get(name)) is None and name.endswith(SUFFIX):
            try:
                port = self.ports[name] = Port(name)
            except OSError:
                return None
        return port

    def _drop(self, port: Port) -> None:
        if self.ports.pop(port.name, None) is port:
            if port.socket in self.selector.get_map():
                self.selector.unregister(port.socket)
            port.socket.close()


def main() -> int:
    """Serve the network in the working directory until told to stop (SIGTERM). One process a directory."""
    with Path("switch.lock").open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            print(f"the network in {Path.cwd()} already has its switch", file=sys.stderr)
            return 1
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        Switch().serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
