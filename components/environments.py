"""Environments: the repositories' passwords, and the step that makes the nodes serve them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_random as random

from components import remote
from components.node_program import NodeProgram
from components.storage_node import StorageNode
from plan.addon import DATA_PATH, password_key
from plan.environments import Environment

#: 40 letters and digits carry 238 bits, and survive every shell and file format that they are pasted into.
_PASSWORD_LENGTH = 40


class Environments(pulumi.ComponentResource):
    """All environments of a stack: one password each, one more for each reader, and one command a node.

    The settings of the environments are inputs of this component, so that a preview shows by name what changes
    while the commands' specifications, which hold the passwords, stay secret.

    passwords: all passwords by ``plan.addon.password_key``, secret.
    health: what each node said of itself when it was last changed, by node name.
    """

    passwords: pulumi.Output[Mapping[str, str]]
    health: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        environments: Mapping[str, Environment],
        nodes: Sequence[StorageNode],
        program: NodeProgram,
        *,
        retain: bool,
        ready: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        visible = {key: environment.model_dump(mode="json") for key, environment in environments.items()}
        super().__init__("backup-storage:index:Environments", name, {"environments": visible}, opts)
        child = pulumi.ResourceOptions(parent=self, retain_on_delete=retain)
        made = {
            key: _password(key, generation, child)
            for environment, values in sorted(environments.items())
            for key, generation in _password_generations(environment, values).items()
        }
        self.passwords = pulumi.Output.secret(pulumi.Output.all(**made))
        specification = {
            "program": program.sha256,
            "dataPath": DATA_PATH,
            "environments": self.passwords.apply(lambda known: _specification(environments, known)),
        }
        answers = {
            node.machine.name: remote.run(
                f"{name}-{node.machine.name}",
                node.machine,
                "environments",
                specification,
                pulumi.ResourceOptions(parent=self, depends_on=[node, *ready]),
                secret=True,
            )
            for node in nodes
        }
        self.health = pulumi.Output.unsecret(
            pulumi.Output.all(**answers).apply(lambda known: {node: answer["health"] for node, answer in known.items()})
        )
        self.register_outputs({})


def _password_generations(name: str, environment: Environment) -> dict[str, int]:
    """The passwords that an environment needs, each with the generation that it belongs to."""
    readers = {password_key(name, reader=reader): environment.generation for reader in environment.readers}
    return {password_key(name): environment.generation, **readers}


def _password(key: str, generation: int, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """One password, made anew when its generation is raised."""
    return random.RandomPassword(
        key, length=_PASSWORD_LENGTH, special=False, keepers={"generation": str(generation)}, opts=opts
    ).result


def _specification(environments: Mapping[str, Environment], passwords: Mapping[str, str]) -> dict[str, Any]:
    """What the environments step of a node is told, passwords included."""
    return {
        name: {
            "password": passwords[password_key(name)],
            "generation": environment.generation,
            "clients": list(environment.clients),
            "readers": {
                reader: {
                    "password": passwords[password_key(name, reader=reader)],
                    "clients": list(environments[reader].clients),
                }
                for reader in environment.readers
            },
        }
        for name, environment in environments.items()
    }
