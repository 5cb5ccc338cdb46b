"""Environments: the secret root of the repositories' passwords, and the step that makes the nodes serve them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_random as random

from components import remote
from components.node_program import NodeProgram
from components.storage_node import StorageNode
from plan.addon import DATA_PATH
from plan.environments import Environment
from plan.layout import grown_from
from plan.passwords import ROOT_LENGTH, derive_all, password_key


class Environments(pulumi.ComponentResource):
    """All environments of a stack: one secret root, from which every password follows, and one command a node.

    The settings of the environments are inputs of this component, so that a preview shows by name what changes
    while the commands' specifications, which hold the passwords, stay secret.

    passwords: all passwords by ``plan.passwords.password_key``, secret.
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
        protect: bool,
        ready: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        visible = {key: environment.model_dump(mode="json") for key, environment in environments.items()}
        super().__init__("backup-storage:index:Environments", name, {"environments": visible}, opts)
        # A new root is a new password for every repository at once, and no kept one opens any more.
        kept = pulumi.ResourceOptions(parent=self, protect=protect, retain_on_delete=protect)
        root = random.RandomPassword(f"{name}-secret-root", length=ROOT_LENGTH, special=False, opts=kept)
        self.passwords = pulumi.Output.secret(root.result.apply(lambda text: derive_all(text, environments)))
        specification = {
            "program": program.sha256,
            "dataPath": DATA_PATH,
            "environments": self.passwords.apply(lambda known: _specification(environments, known)),
            # When nodes are added, the keepers of the floating address on those that were there have to be told.
            **({"members": [node.machine.name for node in nodes]} if len(nodes) > 1 else {}),
        }
        steps: list[pulumi.Resource] = []
        answers: dict[str, pulumi.Output[dict[str, Any]]] = {}
        for node in nodes:
            # Added nodes begin when those that were there know of them: or the old and the new could each find a
            # majority, and the floating address be in two places.
            step = remote.run(
                f"{name}-{node.machine.name}",
                node.machine,
                "environments",
                specification,
                pulumi.ResourceOptions(parent=self, depends_on=[node, *ready, *steps[: grown_from(len(steps))]]),
                secret=True,
            )
            steps.append(step)
            answers[node.machine.name] = remote.answer(step)
        self.health = pulumi.Output.unsecret(
            pulumi.Output.all(**answers).apply(lambda known: {node: answer["health"] for node, answer in known.items()})
        )
        self.register_outputs({})


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
