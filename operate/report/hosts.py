"""What happens to machines that existed before the stack: it only ever takes others, or reaches them otherwise."""

from collections.abc import Iterator, Mapping
from typing import Any

from operate.report.difference import shown
from operate.report.finding import Finding, Section
from operate.report.preview import Preview, Step

#: The resource that stands for all of them.
TYPE = "pulumi-python:dynamic/hosts:Hosts"

#: What tells one machine from another, and one disk from another.
_IDENTITY = {"hostKey": "machine", "device": "disk"}

#: Follows from the node's name, or is the name.
_DERIVED = ("filesystem", "node")


def findings(preview: Preview) -> Iterator[Finding]:
    """One finding for each node whose machine is another one, or is reached otherwise."""
    for step in preview.changing():
        if step.type == TYPE and step.op == "update":
            before = _by_node(step, new=False)
            for node, host in _by_node(step, new=True).items():
                changed = {key for key, value in host.items() if before.get(node, host).get(key) != value}
                if changed.difference(_DERIVED):
                    yield _finding(node, before[node], host, changed)


def _by_node(step: Step, *, new: bool) -> dict[str, Mapping[str, Any]]:
    hosts = (step.new if new else step.old).inputs.get("hosts")
    return {host["node"]: host for host in hosts if isinstance(host, dict)} if isinstance(hosts, list) else {}


def _finding(node: str, old: Mapping[str, Any], new: Mapping[str, Any], changed: set[str]) -> Finding:
    others = [noun for key, noun in _IDENTITY.items() if key in changed]
    texts = [f"becomes a fresh node on another {' and '.join(others)}, {new['address']}"] if others else []
    rest = sorted(changed.difference(_IDENTITY, _DERIVED))
    texts += [f"{key} {shown(old.get(key))} → {shown(new[key])}" for key in rest]
    dangers = (f"another {' and '.join(others)} takes its place; the backups stay on the old one",) if others else ()
    return Finding(Section.NODES, node, tuple(texts), dangers, stops=bool(others))
