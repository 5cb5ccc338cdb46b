"""Takes the machines and disks that are there over into a new state, after the old one was lost.

The local platform adopts what it finds under a resource's name, and a node opens its repositories with the passwords
that it has stored to give them those of the new state. So nothing has to be imported piece by piece; but what is
missing would be made anew and empty, so this looks first.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operate.engine import answers, drive, preview, resources
from operate.errors import OperateError
from operate.project import HOME, platform
from operate.report import disks, machines
from operate.report.preview import Preview

#: What the step is called that settles the repositories.
_STEP = "storage-node environments"


@dataclass(frozen=True)
class Parts:
    """Machines with their system disks, and data disks with their size in GB, by name."""

    machines: frozenset[str]
    disks: Mapping[str, int]


def recover(stack: str, confirm: str | None) -> str:
    """Without ``confirm`` says what is there and what would be done; with it (the stack's name again) does it.

    Raises OperateError where nothing has to be recovered, or where it could not be done without loss.
    """
    if confirm not in (None, stack):
        raise OperateError(f"CONFIRM={confirm} does not repeat STACK={stack}; nothing was done.")
    if platform(stack) != "local":
        raise OperateError(
            f"The machines of stack {stack} are on the platform {platform(stack)}, and this command takes over those "
            "on this computer alone. Restore a copy of the state (docs/state.md)."
        )
    known = [
        part["urn"].rpartition("::")[2] for part in resources(stack) if part["type"] in {*machines.TYPES, *disks.TYPES}
    ]
    if known:
        raise OperateError(
            f"Stack {stack} has a state, which knows of {', '.join(known)}. Run `make up STACK={stack}`: it mends what "
            "is amiss, a recovery that was cut off included."
        )
    there, wanted = found(stack), planned(preview(stack))
    problems = obstacles(stack, there, wanted)
    if problems:
        raise OperateError("\n".join(problems))
    if confirm is None:
        return _intention(stack, there)
    failed = f"The recovery did not finish; what stopped it is said above. `make up STACK={stack}` goes on."
    drive("up", stack, failed=failed)
    return "\n".join(_result(stack, answers(stack, _STEP)))


def found(stack: str) -> Parts:
    """What there is of a stack on this computer."""
    line = [sys.executable, "-m", "components.qemu", "list", "--json", "--root", f".state/local/{stack}"]
    done = subprocess.run(line, cwd=HOME, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OperateError(done.stderr.strip())
    told = json.loads(done.stdout)
    return Parts(frozenset(told["machines"]), told["disks"])


def planned(wanted: Preview) -> Parts:
    """What the settings ask for, by a preview over an empty state. Raises OperateError where that failed."""
    errors = wanted.said("error")
    if errors:
        raise OperateError("\n".join(errors))
    made = [step.new.inputs for step in wanted.steps if step.type in machines.TYPES]
    disks_made = [step.new.inputs for step in wanted.steps if step.type in disks.TYPES]
    return Parts(
        frozenset(inputs["name"] for inputs in made),
        {inputs["name"]: int(inputs["sizeGb"]) for inputs in disks_made},
    )


def obstacles(stack: str, there: Parts, wanted: Parts) -> list[str]:
    """Why what is there cannot be taken over as it is, a sentence each."""
    place = f".state/local/{stack}"
    if not there.machines and not there.disks:
        return [f"There is nothing of stack {stack} in {place}. `make up STACK={stack}` makes a new storage."]
    problems = [
        f"The data disk {name} is missing in {place}/disks, and an empty one would take its place. Bring it back first."
        for name in sorted(wanted.disks.keys() - there.disks.keys())
    ]
    problems += [
        f"The system disk of machine {name} is missing in {place}/machines, and with it the passwords that open its "
        "repositories. Bring it back, or restore a copy of the state (docs/state.md): only they open the backups."
        for name in sorted(wanted.machines - there.machines)
    ]
    other = sorted((there.machines - wanted.machines) | (there.disks.keys() - wanted.disks.keys()))
    if other:
        problems.append(
            f"The settings do not ask for {', '.join(other)}, which {place} holds. Bring the settings back with which "
            "the storage was made; change them afterwards."
        )
    return problems


def _intention(stack: str, there: Parts) -> str:
    parts = [f"machine {name} with its system disk" for name in sorted(there.machines)]
    parts += [f"data disk {name}, {size} GB" for name, size in sorted(there.disks.items())]
    return "\n".join(
        (
            f"Stack {stack} has no state, and this is there: {'; '.join(parts)}.",
            f"`make recover STACK={stack} CONFIRM={stack}` takes all of it over into a new state:",
            "  1. Each machine restarts once, with new SSH keys. Backups that run wait meanwhile.",
            "  2. Each repository gets a new password, with the help of the one that its node has stored.",
            "  3. Environments that the settings do not name are withdrawn; their backups are kept.",
            "No disk is made, emptied or deleted. Afterwards every add-on needs its new outputs.",
        )
    )


def _result(stack: str, told: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the nodes did, in words."""
    settled = {name: each for answer in told for name, each in answer["environments"].items()}
    withdrawn = sorted({name for answer in told for name in answer["withdrawn"]})
    lines = [f"Stack {stack} has a state again."]
    for name, each in sorted(settled.items()):
        lines.append(
            f"  {name}: "
            + ("it had no repository; a new one is made" if each["created"] else "taken over, with a new password")
        )
    lines += [f"  {name}: not in the settings; withdrawn, its backups are kept" for name in withdrawn]
    lines.append(
        f"Hand every add-on its new outputs: `make outputs STACK={stack} ENV=<environment>`. Keep a copy of the state."
    )
    return lines
