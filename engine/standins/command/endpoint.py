"""How to reach and log in at one SSH server, from a connection's settings."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews need nothing of what is imported late)

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.standins.resource import ProviderError

if TYPE_CHECKING:
    import asyncssh

DEFAULTS: dict[str, Any] = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
"""What the plugin fills in where a connection does not say (its schema)."""


@dataclass(frozen=True)
class Endpoint:
    """One SSH server and how to log in there."""

    host: str
    port: int
    options: dict[str, Any]
    agent: str | None
    methods: str
    timeout: float | None
    error_limit: int

    @property
    def address(self) -> str:
        """Host and port as one string, IPv6 in brackets."""
        return join_host_port(self.host, self.port)


def join_host_port(host: str, port: int) -> str:
    """Host and port in one string; an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host_key_options(text: str | None) -> dict[str, Any]:
    import asyncssh

    if text is None:
        return {"known_hosts": None}
    try:
        key = asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError):
        raise ProviderError("failed to parse host key: ssh: no key found") from None
    algorithm = key.get_algorithm()
    algorithms = ["rsa-sha2-512", "rsa-sha2-256"] if algorithm == "ssh-rsa" else [algorithm]
    return {"known_hosts": ([key], [], []), "server_host_key_algs": algorithms}


def _private_key(text: str, passphrase: str | None) -> asyncssh.SSHKey:
    import asyncssh

    try:
        return asyncssh.import_private_key(text, passphrase)
    except asyncssh.KeyEncryptionError as error:
        raise ProviderError(f"ssh: cannot decrypt the private key: {error}") from None
    except asyncssh.KeyImportError as error:
        if passphrase is None and "passphrase" in str(error).lower():
            raise ProviderError("ssh: this private key is passphrase protected") from None
        raise ProviderError("ssh: no key found") from None


def endpoint(settings: dict[str, Any]) -> Endpoint:
    """Read one connection's settings; ProviderError where a key in them cannot be read."""
    settings = DEFAULTS | {key: value for key, value in settings.items() if value is not None}
    options: dict[str, Any] = {"username": settings["user"], "client_keys": None, "agent_path": None}
    options |= _host_key_options(settings.get("hostKey"))
    methods = ["none"]
    if settings.get("privateKey") is not None:
        options["client_keys"] = [_private_key(settings["privateKey"], settings.get("privateKeyPassword"))]
        methods.append("publickey")
    if settings.get("password") is not None:
        options["password"] = settings["password"]
        methods += ["password", "keyboard-interactive"]
    agent = settings.get("agentSocketPath")
    if agent is None and settings.get("privateKey") is None:
        agent = os.environ.get("SSH_AUTH_SOCK")
    if agent:
        methods.append("publickey")
    return Endpoint(
        host=str(settings["host"]),
        port=int(settings["port"]),
        options=options,
        agent=agent or None,
        methods=" ".join(dict.fromkeys(methods)),
        timeout=float(settings["perDialTimeout"]) or None,
        error_limit=int(settings["dialErrorLimit"]),
    )
