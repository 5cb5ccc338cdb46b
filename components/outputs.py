"""The stack's outputs: the contract with the add-on, and what an operator wants to see."""

from typing import Any

import pulumi

from components.storage import Storage
from plan import addon
from plan.settings import Settings


def export(settings: Settings, storage: Storage) -> None:
    """Exports the outputs; ``addon`` is secret as a whole."""
    facts = pulumi.Output.all(*(node.facts for node in storage.nodes))
    pulumi.export(
        "addon",
        pulumi.Output.secret(
            pulumi.Output.all(facts, storage.environments.passwords).apply(
                lambda known: addon.build(
                    settings,
                    project=pulumi.get_project(),
                    stack=pulumi.get_stack(),
                    nodes=known[0],
                    passwords=known[1],
                    floating_address=storage.floating_address,
                )
            )
        ),
    )
    first = storage.nodes[0].machine
    logins = {node.machine.name: {"user": node.machine.user, "elevate": node.machine.elevate} for node in storage.nodes}
    operator = {"logins": logins, "privateKey": first.private_key, **_through(settings)}
    pulumi.export("operator", pulumi.Output.secret(operator))
    pulumi.export("region", settings.region)
    pulumi.export("topology", settings.topology)
    pulumi.export("nodes", facts.apply(lambda known: [node.output() for node in known]))
    pulumi.export("dataPath", addon.DATA_PATH)
    pulumi.export("environments", sorted(settings.environments))
    pulumi.export("sshCommand", f"make ssh STACK={pulumi.get_stack()} NODE={first.name}")
    pulumi.export("health", storage.environments.health)


def _through(settings: Settings) -> dict[str, Any]:
    """The bastion that the operator's own commands go through too, where there is one."""
    bastion = settings.bastion
    if bastion is None:
        return {}
    key = bastion.private_key.get_secret_value()
    return {"bastion": {**bastion.model_dump(by_alias=True, exclude={"private_key"}), "privateKey": key}}
