"""What happens to each environment: its export, who may reach it, and its password."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from operate.report.finding import Finding, Section, listed
from operate.report.preview import Preview, State

#: The component whose inputs are the settings of all environments, without their secrets.
COMPONENT = "backup-storage:index:Environments"

#: The secret from which all passwords follow; there is one in a stack.
ROOT = "random:index/randomPassword:RandomPassword"

NEW = "new environment"
WITHDRAWN = "export withdrawn"

_LOWERED = "a former password comes back into use, and whoever still knows it gets in; raise the generation instead"
_TURNED = (
    "every repository gets a new password and every add-on needs its new outputs; backups that are kept of withdrawn "
    "environments open only with the copies on their node, or with a former state"
)


class Served(BaseModel):
    """The settings of one environment, as the component carries them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    clients: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    generation: int = 1


@dataclass
class _Line:
    texts: list[str] = field(default_factory=list)
    dangers: list[str] = field(default_factory=list)


def findings(preview: Preview) -> Iterator[Finding]:
    """One finding for each environment that something happens to, by name."""
    step = next((step for step in preview.steps if step.type == COMPONENT), None)
    old, new = (_served(step.old), _served(step.new)) if step else ({}, {})
    for name in sorted({*old, *new}):
        line = _Line()
        if name not in old:
            _added(line, new[name])
        elif name not in new:
            line.texts.append(f"{WITHDRAWN}, data kept")
        else:
            _changed(line, old[name], new[name])
        if line.texts or line.dangers:
            yield Finding(Section.ENVIRONMENTS, name, tuple(line.texts), tuple(line.dangers))


def of_all(preview: Preview) -> Iterator[Finding]:
    """What happens to the passwords of all environments at once."""
    served_before = any(step.type == COMPONENT and step.op != "create" for step in preview.steps)
    for step in preview.changing():
        what = {"replace": "replaced", "delete": "deleted", "create": "made anew" if served_before else ""}.get(step.op)
        if step.type == ROOT and what:
            text = f"the secret root of all passwords is {what}"
            yield Finding(Section.STACK, "", (text,), (f"{text}: {_TURNED}",))


def _served(state: State) -> dict[str, Served]:
    given: Any = state.inputs.get("environments")
    if not isinstance(given, Mapping):
        return {}
    return {name: Served.model_validate(values) for name, values in given.items() if isinstance(values, Mapping)}


def _added(line: _Line, new: Served) -> None:
    clients = f"clients {listed(new.clients)}" if new.clients else "no clients yet"
    line.texts.append(f"{NEW}, {clients}")
    if new.readers:
        line.texts.append(f"read access granted to {listed(new.readers)}")


def _changed(line: _Line, old: Served, new: Served) -> None:
    readers = [reader for reader in new.readers if reader in old.readers]
    if new.generation > old.generation:
        turned = f"password rotated, generation {old.generation} → {new.generation}"
        line.texts.append(f"{turned}, and the keys of its readers" if readers else turned)
    elif new.generation < old.generation:
        line.texts.append(f"generation {old.generation} → {new.generation}, a former password comes back")
        line.dangers.append(_LOWERED)
    for word, clients in (
        ("added", [client for client in new.clients if client not in old.clients]),
        ("taken back", [client for client in old.clients if client not in new.clients]),
    ):
        if clients:
            line.texts.append(f"clients {listed(clients)} {word}")
    granted = [reader for reader in new.readers if reader not in old.readers]
    if granted:
        line.texts.append(f"read access granted to {listed(granted)}")
    revoked = [reader for reader in old.readers if reader not in new.readers]
    if revoked:
        line.texts.append(f"read access taken back from {listed(revoked)}")
