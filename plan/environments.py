"""An application environment as the settings describe it: who may write its backups and who may read them."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: A name is also a directory, an NFS export and a part of resource names, so it is kept to what all of them allow.
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")

NAME_RULE = "1 to 63 characters, a lower-case letter or digit first, then also '.' and '-'"


def _network(value: Any) -> str:
    """The canonical text of one address or CIDR range: ``10.1.2.3`` or ``10.1.0.0/16``."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an address; write one as text, such as 10.1.2.3 or 10.1.0.0/16")
    try:
        network = ipaddress.ip_network(value, strict=True)
    except ValueError as error:
        try:
            meant = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is no address or CIDR range; write 10.1.2.3 or 10.1.0.0/16") from error
        raise ValueError(f"{value!r} names a host inside a range; write {meant} for the range") from error
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def _environment_name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no environment name; a name has {NAME_RULE}")
    return value


NetworkText = Annotated[str, BeforeValidator(_network)]
EnvironmentName = Annotated[str, BeforeValidator(_environment_name)]


class Environment(BaseModel):
    """One application environment and its repository.

    clients: addresses or CIDR ranges of the machines that back up this environment (read-write).
    readers: other environments whose clients may read this one's backups, each with a key of its own.
    generation: raise it by one to give the repository a new password.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    clients: tuple[NetworkText, ...] = Field(default=(), strict=False)
    readers: tuple[EnvironmentName, ...] = Field(default=(), strict=False)
    generation: int = Field(default=1, ge=1)


def is_public(network: str) -> bool:
    """Whether a client range holds addresses that are reachable from the internet."""
    return ipaddress.ip_network(network).is_global or ipaddress.ip_network(network).prefixlen == 0
