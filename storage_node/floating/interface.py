"""The floating address on this node's network interface: put on for a short while, and told to the neighbours.

It is put on with a lifetime, by rtnetlink(7): the kernel itself takes it off when the keeper is stopped, hung or killed
and does not renew it in time.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct

_NEWADDR, _DELADDR = 20, 21
_REQUEST, _ACK, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_LOCAL, _ADDRESS, _CACHEINFO = 2, 1, 6
_NO_PREFIX_ROUTE = 0x200
_FLAGS = 8
_NO_SUCH_ADDRESS = 99  # EADDRNOTAVAIL
_ARP = 0x0806


def of_address(address: str) -> tuple[str, int]:
    """The name and number of the interface that has this address. Raises OSError when none has."""
    for number, name in socket.if_nameindex():
        if address in _addresses(name):
            return name, number
    raise OSError(f"no network interface has the address {address}")


def _addresses(name: str) -> list[str]:
    """The interface's first IPv4 address, which is the machine's own."""

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # SIOCGIFADDR, netdevice(7): struct ifreq with the name, answered with a sockaddr_in.
            answer = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return []
    return [socket.inet_ntoa(answer[20:24])]


def put_on(address: str, interface: int, seconds: int) -> None:
    """Puts the address on for so long, or renews it. Raises OSError."""
    _change(_NEWADDR, _REQUEST | _ACK | _CREATE | _REPLACE, address, interface, seconds)


def take_off(address: str, interface: int) -> None:
    """Takes the address off; nothing happens when it is not there. Raises OSError."""
    try:
        _change(_DELADDR, _REQUEST | _ACK, address, interface, None)
    except OSError as error:
        if error.errno != _NO_SUCH_ADDRESS:
            raise


def _change(kind: int, flags: int, address: str, interface: int, seconds: int | None) -> None:
    packed = ipaddress.IPv4Address(address).packed
    # struct ifaddrmsg: family, prefix length, flags, scope, index.
    body = struct.pack("=BBBBi", socket.AF_INET, 32, 0, 0, interface)
    body += _attribute(_LOCAL, packed) + _attribute(_ADDRESS, packed)
    if seconds is not None:
        # struct ifa_cacheinfo: preferred and valid lifetime in seconds, two times that the kernel fills in.
        body += _attribute(_CACHEINFO, struct.pack("=IIII", seconds, seconds, 0, 0))
        body += _attribute(_FLAGS, struct.pack("=I", _NO_PREFIX_ROUTE))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.bind((0, 0))
        link.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = link.recv(4096)
    # NLMSG_ERROR: the header, then 0 or a negative errno.
    (error,) = struct.unpack_from("=i", answer, 16)
    if error:
        raise OSError(-error, f"the kernel refused to change the address {address}")


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def announce(address: str, name: str) -> None:
    """Tells everybody on the network where the address is now (a gratuitous ARP, RFC 5227 section 3)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((name, 0))
        hardware = raw.getsockname()[4]
        packed = ipaddress.IPv4Address(address).packed
        for operation in (1, 2):
            claim = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + hardware + packed + b"\xff" * 6 + packed
            raw.send(b"\xff" * 6 + hardware + struct.pack("!H", _ARP) + claim)
