"""What happens to each environment: its export, who may reach it, and its passwords."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from operate.report.finding import Finding, Section, listed
from operate.report.preview import Preview, State
from plan.addon import password_key

#: The component whose inputs are the settings of all environments, without their secrets.
COMPONENT = "backup-storage:index:Environments"

PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 (a type, no password)

NEW = "new environment"
WITHDRAWN = "export withdrawn"

_REPLACED = "the {} is replaced although the generation was not raised; raise it if a new password is meant"
_DELETED = (
    "its password leaves the stack. Its kept backups then open only with the copy that the storage keeps until "
    "`make purge`, or with the key of a former state"
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
    operations = {step.name: step.op for step in preview.changing() if step.type == PASSWORD}
    for name in sorted({*old, *new}):
        line = _Line()
        if name not in old:
            _added(line, new[name])
        elif name not in new:
            line.texts.append(f"{WITHDRAWN}, data kept")
            line.dangers += [_DELETED] if operations.get(password_key(name)) == "delete" else []
        else:
            _changed(line, name, old[name], new[name], operations)
        if line.texts or line.dangers:
            yield Finding(Section.ENVIRONMENTS, name, tuple(line.texts), tuple(line.dangers))


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


def _changed(line: _Line, name: str, old: Served, new: Served, operations: Mapping[str, str]) -> None:
    readers = [reader for reader in new.readers if reader in old.readers]
    if new.generation > old.generation:
        turned = f"password rotated, generation {old.generation} → {new.generation}"
        line.texts.append(f"{turned}, and the keys of its readers" if readers else turned)
    else:
        if new.generation < old.generation:
            line.texts.append(f"generation {old.generation} → {new.generation}")
        _unasked(line, name, readers, operations)
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


def _unasked(line: _Line, name: str, readers: list[str], operations: Mapping[str, str]) -> None:
    """Passwords of a kept environment that change without a word of that in the settings."""
    whose = {password_key(name): "password"}
    whose |= {password_key(name, reader=reader): f"key of its reader {reader}" for reader in readers}
    for key, what in whose.items():
        match operations.get(key):
            case None:
                pass
            case "delete":
                line.texts.append(f"{what} deleted")
                line.dangers.append(f"the {what} is deleted")
            case _:
                line.texts.append(f"{what} replaced")
                line.dangers.append(_REPLACED.format(what))
