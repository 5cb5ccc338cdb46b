"""The state of every node, asked from the nodes themselves."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rich import filesize
from rich.console import Console
from rich.table import Table

from operate.nodes import Answer, run_on

_COMMAND = "/usr/local/sbin/storage-node status --json"
# What a cluster's members see alike: which bricks run, and what is left to heal on each.
_ALIKE = ("bricks", "quorum", "pendingHeals", "splitBrain")


def status(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """``{"healthy": …, "nodes": {name: …}}``; a node that does not answer is a problem of its own.

    The members of a cluster leave the look at the whole of it to the first that each of them sees: each look takes
    locks on every brick, and seven at once keep each other and the healing waiting.
    """
    nodes = _asked(outputs, f"{_COMMAND} --sparing", [node["name"] for node in outputs["nodes"]])
    views = {name: node["cluster"] for name, node in nodes.items() if "cluster" in node}
    looked = {name for name, view in views.items() if view["seenBy"] == name}
    # These rely on a member that does not answer its operator: each has to look for itself.
    nodes |= _asked(outputs, _COMMAND, [name for name, view in views.items() if view["seenBy"] not in looked])
    for node in nodes.values():
        if "cluster" in node:
            seen = nodes[node["cluster"]["seenBy"]]["cluster"]
            node["cluster"] |= {key: seen[key] for key in _ALIKE}
    return {"healthy": all(node["healthy"] for node in nodes.values()), "nodes": nodes}


def _asked(outputs: Mapping[str, Any], command: str, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """What the nodes of these names answer."""
    return {answer.node: _node(answer) for answer in run_on(outputs, command, names)}


def _node(answer: Answer) -> dict[str, Any]:
    if answer.status is None:
        return {"healthy": False, "problems": [answer.error]}
    try:
        return dict(json.loads(answer.output))
    except json.JSONDecodeError:
        reason = answer.error.strip() or f"status {answer.status} without an answer"
        return {"healthy": False, "problems": [f"{answer.node} could not tell its state: {reason}"]}


def show(result: Mapping[str, Any]) -> None:
    """Prints the state as a table, then every problem as a sentence."""
    table = Table(title="Backup storage")
    for column in ("node", "state", "data", "free", "exports"):
        table.add_column(column)
    for name, node in result["nodes"].items():
        data = node.get("data", {})
        table.add_row(
            name,
            "healthy" if node["healthy"] else "NOT HEALTHY",
            _gigabytes(data.get("totalBytes")),
            _gigabytes(data.get("freeBytes")),
            str(node.get("exports", "?")),
        )
    console = Console()
    console.print(table)
    views = [node["cluster"] for node in result["nodes"].values() if "cluster" in node]
    if views:
        # A node that is cut off knows least: one that is with the majority is believed, whichever was asked first.
        console.print(_bricks(max(views, key=lambda view: bool(view["quorum"]))))
    console.print(_usage(result["nodes"].values()))
    for name, node in result["nodes"].items():
        for problem in node["problems"]:
            console.print(f"{name}: {problem}", style="bold red", markup=False)


def _bricks(view: Mapping[str, Any]) -> Table:
    """The cluster as a node sees it."""
    floating = view.get("floatingAddress")
    holder = f", {floating['address']} on {floating['holder'] or 'no node'}" if floating else ""
    quorum = "writable" if view["quorum"] else "NOT WRITABLE"
    table = Table(title=f"Volume {view['volume']} ({view['layout']}): {quorum}{holder}")
    for column in ("node", "brick", "left to heal", "split brain"):
        table.add_column(column)
    for brick in view["bricks"]:
        counts = ["?" if brick[key] is None else str(brick[key]) for key in ("pendingHeals", "splitBrain")]
        table.add_row(brick["node"], "online" if brick["online"] else "OFFLINE", *counts)
    return table


def _usage(nodes: Iterable[Mapping[str, Any]]) -> Table:
    """What each environment's backups take. Members tell it of their own copies: one that is not whole has less."""
    used: dict[str, int | None] = {}
    for node in nodes:
        for name, entry in node.get("environments", {}).items():
            used[name] = max(used.get(name), entry["usageBytes"], key=lambda count: -1 if count is None else count)
    table = Table(title="Environments")
    table.add_column("environment")
    table.add_column("used", justify="right")
    for name, count in sorted(used.items()):
        table.add_row(name, "?" if count is None else filesize.decimal(count))
    return table


def _gigabytes(count: int | None) -> str:
    return "?" if count is None else f"{count / 1e9:.1f} GB"
