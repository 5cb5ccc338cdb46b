"""What happens to a node's data disk."""

from operate.report.difference import changed_inputs, shown
from operate.report.finding import Finding, Section
from operate.report.preview import State, Step

#: The types of resource that a data disk is, with the input that holds its size in GB.
TYPES = {"pulumi-python:dynamic/qemu:Disk": "sizeGb", "aws:ebs/volume:Volume": "size"}

_SIZES = frozenset(TYPES.values())


def size(state: State) -> str:
    """How large the disk is, in words."""
    known = next((state.inputs[name] for name in _SIZES if name in state.inputs), None)
    return "" if known is None else f"data disk {shown(known)} GB"


def change(step: Step) -> Finding:
    """What a step means for a node's data."""
    kept = step.old.retain_on_delete
    match step.op:
        case "create":
            texts = [f"new, empty {size(step.new) or 'data disk'}"]
            danger = "a new, empty data disk takes the place of the one that it had"
        case "delete":
            texts = ["data disk leaves the stack, its content is kept" if kept else "data disk deleted"]
            danger = (
                "its data disk leaves the stack; the backups on it stay, but nothing serves them"
                if kept
                else "its data disk is deleted with the backups on it"
            )
        case "replace":
            texts = ["data disk replaced by an empty one"]
            danger = (
                "its data disk is replaced by an empty one; the old one stays outside the stack"
                if kept
                else "its data disk is replaced by an empty one and deleted with the backups on it"
            )
        case _:
            return Finding(Section.NODES, "", tuple(_updated(step)))
    return Finding(Section.NODES, "", tuple(texts), (danger,), stops=step.op != "create")


def _updated(step: Step) -> list[str]:
    return [
        f"data disk {shown(old)} → {shown(new)} GB, online"
        if path in _SIZES
        else f"data disk: {path} {shown(old)} → {shown(new)}"
        for path, (old, new) in changed_inputs(step).items()
        if not path.startswith("tags")
    ]
