"""Stand-ins for booted nodes: an SSH server for each instance, behind a bastion, that answers the stack's commands.

They prove themselves as a real node does: by the bootstrap key that user-data brought, and by a host key of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from tests.aws.cloud import Cloud
from tests.engine.ssh_server import Loop

Forward = Callable[[str], Coroutine[Any, Any, int]]


class _Login(asyncssh.SSHServer):
    def __init__(self, authorized: str, forward: Forward | None = None) -> None:
        self._authorized, self._forward = asyncssh.import_public_key(authorized), forward
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "root" and key == self._authorized

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        if self._forward is None or self._connection is None or dest_port != 22:
            return False
        return self._tunnel(self._forward, self._connection, dest_host)

    async def _tunnel(self, forward: Forward, connection: asyncssh.SSHServerConnection, host: str) -> Any:
        return await connection.forward_connection("127.0.0.1", await forward(host))


@dataclass
class Node:
    """One instance as its operator meets it."""

    instance: str
    port: int
    host_key: str
    steps: list[str] = field(default_factory=list)


@dataclass
class Nodes:
    """All nodes of one region, reached through one bastion by their private addresses."""

    cloud: Cloud
    region: str
    files: Path
    key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    own: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    running: dict[str, Node] = field(default_factory=dict)
    _servers: list[asyncssh.SSHAcceptor] = field(default_factory=list)
    _port: int = 0

    def start(self, loop: Loop) -> None:
        """Let the bastion listen; nodes come up when they are first asked for."""
        loop.run(self._listen())

    def stop(self, loop: Loop) -> None:
        """End everything."""
        loop.run(self._close())

    @cached_property
    def bastion(self) -> dict[str, Any]:
        """The setting that leads there; made once, for each export of a key differs a little."""
        return {
            "host": "127.0.0.1",
            "port": self._port,
            "user": "root",
            "hostKey": self.own.export_public_key().decode().strip(),
            "privateKey": self.key.export_private_key().decode(),
        }

    def of(self, address: str) -> Node:
        """The node that has an address now."""
        (instance,) = [each for each in self.cloud.instances(self.region) if each["PrivateIpAddress"] == address]
        return self.running[instance["InstanceId"]]

    async def _listen(self) -> None:
        allowed = self.key.export_public_key().decode()
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[self.own], server_factory=lambda: _Login(allowed, self._port_of)
        )
        self._servers.append(server)
        self._port = server.get_port()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def _port_of(self, address: str) -> int:
        instance = await asyncio.to_thread(self._instance, address)
        if instance["InstanceId"] not in self.running:
            await self._boot(instance)
        return self.running[instance["InstanceId"]].port

    def _instance(self, address: str) -> dict[str, Any]:
        (found,) = [each for each in self.cloud.instances(self.region) if each["PrivateIpAddress"] == address]
        return found

    async def _boot(self, instance: dict[str, Any]) -> None:
        """First boot: the keys out of user-data and the key pair, and a host key of its own."""
        told = yaml.safe_load(await asyncio.to_thread(self.cloud.user_data, instance["InstanceId"], self.region))
        (bootstrap,) = [file["content"] for file in told["write_files"] if file["path"].endswith("bootstrap_host_key")]
        pairs = await asyncio.to_thread(
            self.cloud.ec2(self.region).describe_key_pairs, KeyNames=[instance["KeyName"]], IncludePublicKey=True
        )
        own = asyncssh.generate_private_key("ssh-ed25519")
        node = Node(instance["InstanceId"], 0, own.export_public_key().decode().strip())
        directory = self.files / instance["InstanceId"]
        (directory / "var/lib/storage-node").mkdir(parents=True)

        async def answer(process: asyncssh.SSHServerProcess[str]) -> None:
            await self._answer(node, process)

        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[own, asyncssh.import_private_key(bootstrap)],
            server_factory=lambda: _Login(pairs["KeyPairs"][0]["PublicKey"]),
            process_factory=answer,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(directory).encode()),
        )
        self._servers.append(server)
        node.port = server.get_port()
        self.running[node.instance] = node

    async def _answer(self, node: Node, process: asyncssh.SSHServerProcess[str]) -> None:
        """What a healthy node says to each step."""
        line = process.command or ""
        if "cloud-init" in line:
            node.steps.append("first contact")
            process.stdout.write(node.host_key + "\n")
        else:
            step = line.removesuffix(" --json").split()[-1]
            # A specification is read to its end; whoever sends none need not close the stream.
            told = json.loads(await process.stdin.read()) if step in ("configure", "environments") else {}
            node.steps.append(f"{step} {told.get('device', '')}".strip())
            process.stdout.write(json.dumps({"health": {"healthy": True}}))
        process.exit(0)
