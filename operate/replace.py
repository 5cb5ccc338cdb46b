"""Brings a fresh machine into a node's place, and returns when the cluster is whole again."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from operate.engine import drive, outputs, resources
from operate.errors import OperateError
from operate.status import status

#: How long a cluster that just lost a node may take to know what it still has.
ANSWER_SECONDS = 180.0

_UNFINISHED = "The replacement did not finish; what stopped it is said above. Run the same command again."


def replace(stack: str, node: str) -> None:
    """Replaces the machine of ``node``; its data disk is kept where there still is one, and made anew where not.

    Changed settings of machines are brought to this one alone.

    Safe to run again when it was interrupted. Raises OperateError, before anything is touched, where the cluster could
    not bear it; and where the engine fails, which has then said why.
    """
    known = outputs(stack)
    names = [entry["name"] for entry in known["nodes"]]
    if node not in names:
        raise OperateError(f"There is no node {node!r}; there are: {', '.join(names)}. Name one with NODE=.")
    if known["topology"] == "cluster" and (problems := unbearable(_asked(known, node), node)):
        raise OperateError(f"{node} cannot be replaced now: {' '.join(problems)}")
    machine, disk = _urns(stack, node, f"{node}-data")
    targets = _targeting([machine, disk])
    # What of the two is gone for good leaves the state, so that it is made anew.
    drive("refresh", stack, "--suppress-outputs", *targets, failed=_UNFINISHED)
    left, *programs = _urns(stack, node, *(f"{name}-program" for name in names))
    # Changed settings reach this node's machine and no other, so that a cluster gets them one node after the other. A
    # machine that an interrupted replacement took out of the state has no name there; then everything is looked after.
    # The steps that follow on the others need this checkout's program there.
    only = (*targets, *_targeting(programs), "--target-dependents") if machine else ()
    drive("up", stack, "--suppress-outputs", *only, *(("--replace", left) if left else ()), failed=_UNFINISHED)


def _asked(known: Mapping[str, Any], node: str) -> Mapping[str, Mapping[str, Any]]:
    """What the nodes say of themselves, once one beside ``node`` knows of the bricks.

    Just after a node was lost none does: glusterd waits for the one that is gone.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        nodes: Mapping[str, Mapping[str, Any]] = status(known)["nodes"]
        if _view(nodes, node) is not None or time.monotonic() > deadline:
            return nodes
        time.sleep(2)


def _view(nodes: Mapping[str, Mapping[str, Any]], node: str) -> Mapping[str, Any] | None:
    views = [said["cluster"] for name, said in nodes.items() if name != node and "cluster" in said]
    return next((view for view in views if view["bricks"]), None)


def unbearable(nodes: Mapping[str, Mapping[str, Any]], node: str) -> list[str]:
    """Why the cluster could not do without ``node`` for a while, one sentence each; ``nodes`` is what `status` says.

    Every other node has to be there with its brick, and nothing may be left to heal but what the node itself lacks.
    """
    others = {name: said for name, said in nodes.items() if name != node}
    away = [name for name, said in others.items() if "cluster" not in said]
    if away:
        return [f"{', '.join(away)} cannot be asked; bring the other nodes back first."]
    view = _view(nodes, node)
    if view is None:
        said = " ".join(next(iter(others.values()))["problems"])
        return [f"No other node can tell which bricks run: {said}"]
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


def _targeting(urns: Sequence[str | None]) -> list[str]:
    """The engine's words for no other resources than these."""
    return [word for urn in urns if urn for word in ("--target", urn)]


def _urns(stack: str, *names: str) -> list[str | None]:
    """The state's names for these resources of nodes; None for what is not in the state."""
    found: dict[str, str] = {}
    for resource in resources(stack):
        name = resource["urn"].rsplit("::", 1)[1]
        if resource.get("custom"):
            found[name] = resource["urn"]
    return [found.get(name) for name in names]
