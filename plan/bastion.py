"""A machine between the operator and the nodes, through which SSH goes."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

#: What an SSH server's public key looks like in authorized_keys form, without options and comment.
_PUBLIC_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,3}")


def _public_key(value: Any) -> str:
    """Type and key; the comment that files carry behind them is left off."""
    words = value.split() if isinstance(value, str) else []
    if not _PUBLIC_KEY.fullmatch(" ".join(words[:2])):
        raise ValueError(
            "this is no SSH host key; write its type and the key, such as `ssh-ed25519 AAAA…`, as the file "
            "/etc/ssh/ssh_host_ed25519_key.pub of the bastion has them"
        )
    return " ".join(words[:2])


def _private_key(value: Any) -> SecretStr:
    """Kept out of every message: what is wrong with it is said without showing it."""
    if not isinstance(value, str) or "PRIVATE KEY-----" not in value:
        raise ValueError(
            "this is no private key; set it with "
            "`pulumi config set --secret --path backup-storage:bastion.privateKey < <file>`"
        )
    return SecretStr(value.strip() + "\n")


class Bastion(BaseModel):
    """An SSH server that reaches the nodes where the operator's computer does not.

    host, port, user: where and as whom the operator logs in there.
    hostKey: the bastion's own public key, pinned. privateKey: the key that it lets in, a secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    host: str = Field(min_length=1)
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(min_length=1)
    host_key: Annotated[str, BeforeValidator(_public_key)]
    private_key: Annotated[SecretStr, BeforeValidator(_private_key)]


def _unless_empty(value: Any) -> Any:
    """An empty object is what the project's declaration gives where a stack says nothing."""
    return None if value == {} else value


OptionalBastion = Annotated[Bastion | None, BeforeValidator(_unless_empty)]
