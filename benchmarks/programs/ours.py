"""The product's own environments, on a node that is nothing but a place to send commands to."""

import json
import os
from pathlib import Path
from typing import cast

import pulumi
from pulumi_command import remote

from components.environments import Environments
from components.node_program import NodeProgram
from components.platforms.base import Machine
from components.storage_node import StorageNode
from plan.settings import load

told = json.loads(os.environ["BENCHMARK"])
way = told["connection"]
node = pulumi.ComponentResource("benchmark:index:Node", "storage-1")
node.machine = Machine(  # type: ignore[attr-defined]
    name="storage-1",
    resource=node,
    instance=pulumi.Output.from_input("1"),
    connection=remote.ConnectionArgs(**way),
    user=way["user"],
    private_key=pulumi.Output.from_input(way["private_key"]),
    address=pulumi.Output.from_input(way["host"]),
    ssh_port=pulumi.Output.from_input(way["port"]),
    private_address=pulumi.Output.from_input(way["host"]),
    host_key=pulumi.Output.from_input(way["host_key"]),
    device=pulumi.Output.from_input("/dev/null"),
)
names = [f"env{number:04}" for number in range(told["environments"])]
settings = load({"environments": {name: {"clients": ["10.1.0.0/16"]} for name in names}})
program = NodeProgram(path=Path("/dev/null"), sha256="0" * 64)
Environments("environments", settings.environments, [cast(StorageNode, node)], program, protect=False)
