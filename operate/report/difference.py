"""The full diff of a preview as text; no secret passes, whatever the engine shows."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from operate.report.preview import UNKNOWN, Preview, State, Step

HIDDEN = "[secret]"

#: Inputs that are secret or hold keys. The engine hides them already, unless it was asked to show secrets.
_SECRET_INPUTS = frozenset({"connection", "hostPrivateKey", "privateKey", "password", "result"})

#: Bookkeeping of the SDKs: serialized providers, and the signatures that mark assets.
_NOISE = frozenset({"__provider", "__defaults", "4dabf18193072939515e22adb298388d"})

#: Longer values are cut off in the diff: a reviewer compares settings, not files.
_MOST_CHARACTERS = 300

#: The order in which a diff that is too long is cut off: what can lose something is first.
_ORDER = ("delete", "replace", "update", "import", "create")

_SIGNS = {"create": "+", "import": "+", "delete": "-", "replace": "-+"}

Values = dict[str, Any]


def changed_inputs(step: Step) -> dict[str, tuple[Any, Any]]:
    """Every input that differs, by path, as it is and as it is to be; None where there is none."""
    old, new = _visible(step.old), _visible(step.new)
    # What is below a value that is not known yet has not gone.
    unknown = tuple(f"{path}." for path, value in new.items() if value == UNKNOWN)
    paths = [*new, *(path for path in old if path not in new and not path.startswith(unknown))]
    return {path: (old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)}


def lines(preview: Preview) -> Iterator[str]:
    """The diff, resource by resource, as GitHub colours it: ``+`` comes, ``-`` goes, ``!`` changes."""
    steps = [step for step in preview.changing() if step.type != "pulumi:pulumi:Stack" or step.op != "update"]
    for step in sorted(steps, key=lambda step: (_ORDER.index(step.op) if step.op in _ORDER else 0, step.urn)):
        yield f"{_SIGNS.get(step.op, '!')} {step.op} {step.name} ({step.type})"
        if step.op == "delete":
            continue
        for path, (old, new) in changed_inputs(step).items():
            if old is not None:
                yield f"-     {path}: {shown(old)}"
            if new is not None:
                yield f"+     {path}: {shown(new)}"


def shown(value: Any) -> str:
    """A value on one line."""
    text = json.dumps(value, ensure_ascii=False).replace(f'"{UNKNOWN}"', "known after the up")
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _visible(state: State) -> Values:
    """The inputs by path, the secret ones hidden."""
    secret = {*_SECRET_INPUTS, *state.additional_secret_outputs}
    # A remote step is silent exactly where its specification holds secrets.
    if state.inputs.get("logging") == "none":
        secret.add("stdin")
    hidden = {name: HIDDEN if name in secret else _told(name, value) for name, value in state.inputs.items()}
    return dict(_leaves("", hidden))


def _told(name: str, value: Any) -> Any:
    """A step's specification is JSON on its stdin; its parts are compared, not its text."""
    try:
        return json.loads(value) if name == "stdin" and isinstance(value, str) else value
    except json.JSONDecodeError:
        return value


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            if name not in _NOISE:
                yield from _leaves(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list) and any(isinstance(part, Mapping | list) for part in value):
        for index, part in enumerate(value):
            yield from _leaves(f"{path}[{index}]", part)
    elif path:
        yield path, value
