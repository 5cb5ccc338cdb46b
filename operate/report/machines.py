"""What happens to a node's machine."""

from operate.report.difference import changed_inputs, shown
from operate.report.finding import Finding, Section
from operate.report.preview import State, Step

#: The types of resource that a node's machine is.
TYPES = frozenset({"pulumi-python:dynamic/qemu:Machine", "aws:ec2/instance:Instance"})

#: What a machine is measured by, and what a reviewer calls it.
_SIZES = {"cpus": ("processors", ""), "memoryMb": ("memory", " MiB"), "instanceType": ("machine size", "")}

_KEYS = frozenset({"authorizedKey", "hostPublicKey", "hostPrivateKey"})

#: Changed while the machine runs.
_LIVE = ("tags", "volumeTags", "vpcSecurityGroupIds", "disableApiTermination")


def size(state: State) -> str:
    """How large the machine is, in words."""
    known = [(noun, state.inputs[name], unit) for name, (noun, unit) in _SIZES.items() if name in state.inputs]
    return ", ".join(f"{noun} {_plain(value)}{unit}" for noun, value, unit in known)


def change(step: Step, *, disk_lost: bool) -> Finding:
    """What a step means for a node; ``disk_lost`` where its data disk does not outlive the step either."""
    disk = "" if disk_lost else ", data disk kept"
    match step.op:
        case "create":
            texts = [f"machine gone, a fresh one takes its place{disk}"]
            dangers = ["the node is replaced: its machine is gone and a fresh one is made"]
        case "replace":
            texts = [f"machine replaced by a fresh one{disk}"]
            dangers = ["the node is replaced: its machine is deleted and a fresh one is made"]
        case "delete":
            texts = ["machine deleted"]
            dangers = ["its machine is deleted"]
        case _:
            return _updated(step)
    return Finding(Section.NODES, "", tuple(texts), tuple(dangers), stops=step.op != "create")


def _updated(step: Step) -> Finding:
    changes = changed_inputs(step)
    restarting = [path for path in changes if not path.startswith(_LIVE)]
    texts = [_grown(path, *changes[path]) for path in restarting if path in _SIZES]
    if any(path in _KEYS for path in restarting):
        texts.append("new SSH keys")
    texts += [
        f"{path} {shown(changes[path][0])} → {shown(changes[path][1])}"
        for path in restarting
        if path not in _SIZES and path not in _KEYS and not path.startswith("disks")
    ]
    if not changes:
        texts = ["machine is not as it was defined (see below), it is started anew"]
    elif restarting:
        texts.append("restart")
    return Finding(Section.NODES, "", tuple(texts), stops=bool(restarting))


def _grown(path: str, old: object, new: object) -> str:
    noun, unit = _SIZES[path]
    return f"{noun} {_plain(old)} → {_plain(new)}{unit}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else shown(value)
