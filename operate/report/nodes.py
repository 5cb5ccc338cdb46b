"""What happens to each storage node: its machine, its data disk and what is installed on it."""

from collections.abc import Iterator, Mapping, Sequence

from operate.report import disks, machines
from operate.report.difference import changed_inputs, shown
from operate.report.finding import Finding, Section, listed
from operate.report.preview import Preview, Step

#: The component that a node is; the machine, its disk and the steps that run there are its parts.
COMPONENT = "backup-storage:index:StorageNode"

_COPY = "command:remote:CopyToRemote"
_COMMAND = "command:remote:Command"
_KEY = "tls:index/privateKey:PrivateKey"

#: What the configuration step is told that is told better by the resource that it comes from.
_SAID_ELSEWHERE = frozenset({"program", "sizeGb", "instance", "name", "stack"})


def findings(preview: Preview) -> Iterator[Finding]:
    """One finding for each node that something happens to, by name."""
    for component, parts in members(preview):
        found = _finding(component, parts)
        if found.texts or found.dangers:
            yield found


def members(preview: Preview) -> list[tuple[Step, list[Step]]]:
    """Every node's component with all resources below it, by name."""
    steps = {step.urn: step for step in preview.steps}
    nodes: dict[str, list[Step]] = {urn: [] for urn, step in steps.items() if step.type == COMPONENT}
    for step in preview.steps:
        if above := _node_above(step, steps):
            nodes.setdefault(above, []).append(step)
    # A preview that failed may have stopped before it came to the component itself.
    whole = [(steps.get(urn) or Step(op="same", urn=urn), parts) for urn, parts in nodes.items()]
    return sorted(whole, key=lambda node: node[0].name)


def _node_above(step: Step, steps: Mapping[str, Step]) -> str:
    """The URN of the node that a resource is a part of, empty where it is a part of none."""
    above = step.parent
    while above and Step(op="same", urn=above).type != COMPONENT:
        above = steps[above].parent if above in steps else ""
    return above


def _finding(component: Step, parts: Sequence[Step]) -> Finding:
    changing = [step for step in parts if step.changes]
    disk_steps = [step for step in changing if step.type in disks.TYPES]
    machine_steps = [step for step in changing if step.type in machines.TYPES]
    if component.op == "create":
        told = [disks.size(step.new) for step in disk_steps] + [machines.size(step.new) for step in machine_steps]
        return Finding(Section.NODES, component.name, ("new node", *(text for text in told if text)))
    found = [disks.change(step) for step in disk_steps]
    found += [
        machines.change(step, disk_lost=any(step.op != "update" for step in disk_steps)) for step in machine_steps
    ]
    texts = [text for change in found for text in change.texts]
    dangers = [danger for change in found for danger in change.dangers]
    stops = any(change.stops for change in found)
    if component.op == "delete":
        return Finding(Section.NODES, component.name, ("node removed", *texts), tuple(dangers), stops)
    texts += _labels(component)
    for step in changing:
        if step.type not in disks.TYPES and step.type not in machines.TYPES:
            texts += _installed(step)
            dangers += [f"{step.name} is protected and goes ({step.op})"] if step.loses_what_was_protected else []
    if not texts and any(step.type == _COMMAND for step in changing):
        texts.append("configured again")
    return Finding(Section.NODES, component.name, tuple(texts), tuple(dangers), stops)


def _labels(component: Step) -> list[str]:
    changes = changed_inputs(component)
    return [f"{path} {shown(old)} → {shown(new)}" for path, (old, new) in changes.items() if path != "sizeGb"]


def _installed(step: Step) -> list[str]:
    """What changes on a machine that stays the same."""
    changes = changed_inputs(step)
    if step.type == _COPY:
        changed = "source.hash" in changes and step.op in ("update", "replace")
        return ["node program changed, the node is configured again"] if changed else []
    if step.type == _KEY and step.op == "replace":
        return ["new SSH host key"]
    if step.type == _COMMAND:
        return [text for path, (old, new) in changes.items() if (text := _told(path, old, new))]
    if step.type == _KEY:
        return []
    return [f"`{step.name}` ({step.type.rsplit(':', 1)[-1]}): {step.op}"]


def _told(path: str, old: object, new: object) -> str:
    """A setting that the configuration step passes on, such as who may use SSH."""
    name = path.removeprefix("stdin.")
    if name == path or name.split(".")[0] in _SAID_ELSEWHERE or old is None or new is None:
        return ""
    if name == "firewall.ssh":
        return f"SSH open to {_networks(new)}, before to {_networks(old)}"
    return f"{name} {shown(old)} → {shown(new)}"


def _networks(value: object) -> str:
    return listed([str(part) for part in value]) if isinstance(value, list) else shown(value)
