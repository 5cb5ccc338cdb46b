"""Brings a fresh machine into a node's place, and returns when the cluster is whole again."""

from collections.abc import Mapping
from typing import Any

from operate.engine import drive, outputs, resources
from operate.errors import OperateError
from operate.status import status

_UNFINISHED = "The replacement did not finish; what stopped it is said above. Run the same command again."


def replace(stack: str, node: str) -> None:
    """Replaces the machine of ``node``; its data disk is kept where there still is one, and made anew where not.

    Safe to run again when it was interrupted. Raises OperateError, before anything is touched, where the cluster could
    not bear it; and where the engine fails, which has then said why.
    """
    known = outputs(stack)
    names = [entry["name"] for entry in known["nodes"]]
    if node not in names:
        raise OperateError(f"There is no node {node!r}; there are: {', '.join(names)}. Name one with NODE=.")
    if known["topology"] == "cluster" and (problems := unbearable(status(known)["nodes"], node)):
        raise OperateError(f"{node} cannot be replaced now: {' '.join(problems)}")
    machine, disk = _urns(stack, node)
    # What of the two is gone for good leaves the state, so that it is made anew.
    targets = [word for urn in (machine, disk) if urn for word in ("--target", urn)]
    drive("refresh", stack, "--suppress-outputs", *targets, failed=_UNFINISHED)
    left, _ = _urns(stack, node)
    drive("up", stack, "--suppress-outputs", *(("--replace", left) if left else ()), failed=_UNFINISHED)


def unbearable(nodes: Mapping[str, Mapping[str, Any]], node: str) -> list[str]:
    """Why the cluster could not do without ``node`` for a while, one sentence each; ``nodes`` is what `status` says.

    Every other node has to be there with its brick, and nothing may be left to heal but what the node itself lacks.
    """
    others = {name: said for name, said in nodes.items() if name != node}
    away = [name for name, said in others.items() if "cluster" not in said]
    if away:
        return [f"{', '.join(away)} cannot be asked; bring the other nodes back first."]
    view = next(iter(others.values()))["cluster"]
    bricks = {brick["node"]: brick for brick in view["bricks"]}
    problems = [
        f"The brick of {name} does not run; bring it back first."
        for name in others
        if not bricks.get(name, {}).get("online")
    ]
    own = bricks.get(node, {})
    if own.get("online") and view["pendingHeals"] is None:
        problems.append("How much is still being healed cannot be told now; see `make status`, and try again.")
    elif own.get("online") and view["pendingHeals"]:
        problems.append(
            f"{view['pendingHeals']} entries are still being healed; wait until `make status` counts 0, then replace."
        )
    if view["splitBrain"]:
        problems.append(f"{view['splitBrain']} entries are in split brain; see docs/operations.md first.")
    return problems


def _urns(stack: str, node: str) -> tuple[str | None, str | None]:
    """The state's names for the node's machine and its data disk; None for what is not in the state."""
    found: dict[str, str] = {}
    for resource in resources(stack):
        name = resource["urn"].rsplit("::", 1)[1]
        if resource.get("custom") and name in (node, f"{node}-data"):
            found[name] = resource["urn"]
    return found.get(node), found.get(f"{node}-data")
