"""Machines that exist already, as the settings describe them, and the rules for a list of them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from plan.settings import Settings

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_NUMERIC = re.compile(r"[0-9.]+")
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")

#: Names that stay the disk's own. /dev/sdb and the like are given anew at every boot, in the order of discovery.
_DEVICE = re.compile(r"/dev/(disk/by-(id|path)|mapper)/[A-Za-z0-9][A-Za-z0-9._:@+-]*")

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def _address(value: Any) -> str:
    """An IPv4 address or a host name. NFS sources in the outputs are `<address>:<path>`, where IPv6 would not fit."""
    if isinstance(value, str) and _HOST_NAME.fullmatch(value):
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv4Address(value))
        # What has nothing but numbers and dots is an address with a mistake in it.
        if not _NUMERIC.fullmatch(value):
            return value
    raise ValueError(f"{value!r} is no address; write an IPv4 address or a host name")


def _host_key(value: Any) -> str:
    """One public key: its type and its base64, without the comment."""
    words = value.split() if isinstance(value, str) else []
    if len(words) > 2 and words[1] in _KEY_TYPES and words[0] not in _KEY_TYPES:
        raise ValueError(f"it begins with the host's name {words[0]}; leave that out and begin with {words[1]}")
    if len(words) < 2 or words[0] not in _KEY_TYPES or _type_inside(words[1]) != words[0]:
        raise ValueError("this is no SSH host key; write the content of /etc/ssh/ssh_host_ed25519_key.pub")
    return f"{words[0]} {words[1]}"


def _type_inside(encoded: str) -> str:
    """The key's type as the key itself says it (RFC 4253, 6.6): a length, then as many letters."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return ""
    return content[4 : 4 + int.from_bytes(content[:4])].decode("ascii", "replace")


def _device(value: Any) -> str:
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise ValueError(
            f"{value!r} is no name that a disk keeps; `ls -l /dev/disk/by-id` on the machine shows such names"
        )
    return value


def _user(value: Any) -> str:
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise ValueError(f"{value!r} is no user's name on Debian; write root, admin or the like")
    return value


Address = Annotated[str, BeforeValidator(_address)]


class Host(BaseModel):
    """One machine that exists already.

    address: where SSH reaches it; private_address: where applications and other nodes reach it, the same where it is
    left out. user: who logs in, root or somebody who may use sudo without a password. host_key: its SSH host key in
    authorized_keys form. device: the data disk, blank or this node's own, by a name that stays the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    address: Address
    private_address: Address | None = None
    user: Annotated[str, BeforeValidator(_user)] = "root"
    port: int = Field(default=22, ge=1, le=65535)
    host_key: Annotated[str, BeforeValidator(_host_key)]
    device: Annotated[str, BeforeValidator(_device)]

    @property
    def private(self) -> str:
        """Where applications and other nodes reach the machine."""
        return self.private_address or self.address


def problems(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with the hosts of platform hosts, each with the setting that it is about."""
    found = []
    hosts, nodes = settings.hosts, settings.node_count
    if len(hosts) != nodes:
        machines = "1 machine" if nodes == 1 else f"{nodes} machines"
        found.append(("hosts", f"lists {len(hosts)}; this storage needs {machines}, one for each node."))
    if settings.ssh_private_key is None:
        text = "is not set; set it with `pulumi config set --secret backup-storage:sshPrivateKey < FILE`."
        found.append(("sshPrivateKey", text))
    if not settings.admin_cidrs:
        found.append(("adminCidrs", "is empty; on hosts it has to name who may reach SSH, this computer first."))
    if settings.topology == "cluster":
        names = [(number, host.private) for number, host in enumerate(hosts) if not _NUMERIC.fullmatch(host.private)]
        text = "is reached by the name {}; a cluster's members know each other by IPv4 addresses, set privateAddress."
        found += [(f"hosts[{number}]", text.format(name)) for number, name in names]
    same: dict[str, Callable[[Host], object]] = {
        "address and port": lambda host: (host.address, host.port),
        "private address": lambda host: host.private,
        "host key": lambda host: host.host_key,
    }
    for second, host in enumerate(hosts):
        for first, other in enumerate(hosts[:second]):
            equal = [what for what, of in same.items() if of(host) == of(other)]
            if equal:
                text = f"has the same {equal[0]} as hosts[{first}]; list each machine once"
                hint = ", and give a copied machine a host key of its own" if equal[0] == "host key" else ""
                found.append((f"hosts[{second}]", f"{text}{hint}."))
    return found
