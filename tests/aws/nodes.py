"""Stand-ins for booted nodes: an SSH server for each instance, behind a bastion, that answers the stack's commands.

They prove themselves as a real node does: by the bootstrap key that user-data brought, and by a host key of their own.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import yaml

from tests.aws.bastion import Bastion, OneKey
from tests.aws.cloud import Cloud
from tests.engine.ssh_server import Loop


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
    running: dict[str, Node] = field(default_factory=dict)
    _servers: list[asyncssh.SSHAcceptor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bastion = Bastion(self._way)

    def start(self, loop: Loop) -> None:
        """Let the bastion listen; nodes come up when they are first asked for."""
        loop.run(self._bastion.open())

    def stop(self, loop: Loop) -> None:
        """End everything."""
        loop.run(self._close())

    @property
    def bastion(self) -> dict[str, Any]:
        """The setting that leads there."""
        return self._bastion.setting

    def of(self, address: str) -> Node:
        """The node that has an address now."""
        (instance,) = [each for each in self.cloud.instances(self.region) if each["PrivateIpAddress"] == address]
        return self.running[instance["InstanceId"]]

    async def _close(self) -> None:
        await self._bastion.close()
        for server in self._servers:
            server.close()
            await server.wait_closed()

    async def _way(self, address: str) -> tuple[str, int]:
        instance = await asyncio.to_thread(self._instance, address)
        if instance["InstanceId"] not in self.running:
            await self._boot(instance)
        return "127.0.0.1", self.running[instance["InstanceId"]].port

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
            server_factory=lambda: OneKey(pairs["KeyPairs"][0]["PublicKey"]),
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
            step = [word for word in line.split() if not word.startswith("-")][-1]
            # A specification is read to its end; whoever sends none need not close the stream.
            told = json.loads(await process.stdin.read()) if step in ("configure", "environments") else {}
            node.steps.append(f"{step} {told.get('device', '')}".strip())
            process.stdout.write(json.dumps({"health": {"healthy": True}}))
        process.exit(0)
