"""What happens to a stack beyond its environments and nodes, and what several nodes together amount to."""

from collections import Counter
from collections.abc import Iterator, Sequence

from operate.report import disks, environments, hosts, machines, nodes
from operate.report.difference import changed_inputs, shown
from operate.report.finding import Finding, Section, listed
from operate.report.preview import Preview, State, Step

_STACK = "pulumi:pulumi:Stack"
_KEY = "tls:index/privateKey:PrivateKey"
_SWITCH = "pulumi-python:dynamic/qemu:Network"

#: Components of the project say by their parts what happens; the others are the engine's own.
_COMPONENTS = (_STACK, nodes.COMPONENT, environments.COMPONENT, "pulumi:providers:")

_VERBS = {"create": "new", "delete": "deleted", "replace": "replaced", "import": "taken over"}


def findings(preview: Preview, node_findings: Sequence[Finding]) -> Iterator[Finding]:
    """What concerns the whole stack, the most important first."""
    stopped = [finding.subject for finding in node_findings if finding.stops]
    if len(stopped) > 1:
        danger = f"{listed(stopped, most=7)}: more than one node stops at a time"
        yield Finding(Section.STACK, "", dangers=(danger,))
    yield from environments.of_all(preview)
    yield from _protection(preview)
    if any(step.type == _STACK and step.op == "create" for step in preview.steps):
        yield Finding(Section.STACK, "", ("a new storage",))
        return
    parts = {part.urn for _, members in nodes.members(preview) for part in members}
    for step in preview.changing():
        told = _told_by_environments(step) or _told_by_hosts(step)
        if step.urn not in parts and not step.type.startswith(_COMPONENTS) and not told:
            dangers = (f"it is protected and goes ({step.op})",) if step.loses_what_was_protected else ()
            yield Finding(Section.STACK, step.name, (_words(step),), dangers)


def _told_by_environments(step: Step) -> bool:
    below = step.parent.split("::")
    return len(below) > 2 and below[2].endswith(environments.COMPONENT)


def _told_by_hosts(step: Step) -> bool:
    return step.type == hosts.TYPE and step.op == "update"


def _words(step: Step) -> str:
    if step.type == _KEY and step.name == "login":
        return "the operator's SSH key, " + _VERBS.get(step.op, "changed")
    if step.type == _SWITCH:
        return "the stack's own network, " + _VERBS.get(step.op, "started again")
    kind = step.type.rsplit(":", 1)[-1]
    if step.op == "update" and (changes := changed_inputs(step)):
        told = [f"{path} {shown(old)} → {shown(new)}" for path, (old, new) in changes.items()]
        return f"{kind}, {listed(told)}"
    return f"{kind}, {_VERBS.get(step.op, step.op)}"


def _protection(preview: Preview) -> Iterator[Finding]:
    """Protection that is lifted from resources that stay, or put on them."""
    both = [step for step in preview.steps if step.old_state and step.new_state]
    lifted = [step for step in both if _less_safe(step.old, step.new)]
    if lifted:
        what = _counted(lifted)
        danger = f"protection is lifted from {what}: a later change could delete them without a further word"
        yield Finding(Section.STACK, "", (f"protection lifted from {what}",), (danger,))
    raised = [step for step in both if _less_safe(step.new, step.old)]
    if raised:
        yield Finding(Section.STACK, "", (f"protection put on {_counted(raised)}",))


def _less_safe(old: State, new: State) -> bool:
    return (old.protect and not new.protect) or (old.retain_on_delete and not new.retain_on_delete)


def _counted(steps: Sequence[Step]) -> str:
    kinds = {
        **dict.fromkeys(disks.TYPES, "data disk"),
        **dict.fromkeys(machines.TYPES, "machine"),
        environments.ROOT: "secret root",
    }
    counts = Counter(kinds[step.type] for step in steps if step.type in kinds)
    parts = [f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in sorted(counts.items())]
    other = [step.name for step in steps if step.type not in kinds]
    return listed([*parts, *other])
