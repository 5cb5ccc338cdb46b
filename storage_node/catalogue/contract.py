"""The answers that existing add-ons read over SSH, byte for byte: `getBackups.sh` and `getBackupsAllEnvs.sh`.

`{"result": 0, …}` when all is well; otherwise a non-zero result with an "error", beside what could be answered.
"""

from __future__ import annotations

import json
from typing import Any

from storage_node import names
from storage_node.catalogue.environments import Catalogue, Contents
from storage_node.errors import NodeError

UNREADABLE, UNKNOWN, BAD_NAME = 1, 2, 3


def environments(catalogue: Catalogue) -> dict[str, Any]:
    """`getBackups.sh` without a name."""
    return {"result": 0, "envs": catalogue.names()}


def one(catalogue: Catalogue, environment: str) -> dict[str, Any]:
    """`getBackups.sh ENV`: the names of its backups, oldest first."""
    if not names.is_environment_name(environment):
        return {"result": BAD_NAME, "error": f"An environment's name has {names.RULE}."}
    if environment not in catalogue.names():
        return {"result": UNKNOWN, "error": f"There is no environment {environment} on this storage."}
    try:
        contents = catalogue.read(environment)
    except NodeError as error:
        return {"result": UNREADABLE, "error": str(error)}
    answer: dict[str, Any] = {"result": 0, "backups": contents.names}
    if contents.damaged:
        answer = {"result": UNREADABLE, "backups": contents.names, "error": _damage(environment, contents)}
    return answer


def everything(catalogue: Catalogue) -> dict[str, Any]:
    """`getBackupsAllEnvs.sh`: every environment with its backups; a damaged one does not keep back the others."""
    envs = catalogue.names()
    found: dict[str, list[str]] = {}
    errors: list[str] = []
    for environment, contents in catalogue.read_all(envs):
        if isinstance(contents, NodeError):
            errors.append(f"{environment}: {contents}")
            continue
        found[environment] = contents.names
        if contents.damaged:
            errors.append(_damage(environment, contents))
    answer: dict[str, Any] = {"result": UNREADABLE if errors else 0, "envs": envs, "backups": found}
    if errors:
        answer["error"] = " | ".join(errors)
    return answer


def _damage(environment: str, contents: Contents) -> str:
    return f"{environment}: {', '.join(contents.damaged)}."


def text(answer: dict[str, Any]) -> str:
    """The answer as existing add-ons parse it: one line, a space after each comma and colon."""
    return json.dumps(answer, ensure_ascii=False)
