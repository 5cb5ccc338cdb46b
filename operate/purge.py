"""Deletes the kept backups of an environment that was removed, on the operator's explicit word."""

from collections.abc import Mapping
from typing import Any

from operate.errors import OperateError
from operate.nodes import run_on_all


def purge(outputs: Mapping[str, Any], environment: str, confirm: str | None) -> str:
    """Asks a node to delete one environment's repository; without ``confirm`` it only says what would go.

    Raises OperateError where the node refuses.
    """
    # The node checks the name again; here it keeps anything that a shell would read out of the command line.
    if not environment or set(environment) - set("abcdefghijklmnopqrstuvwxyz0123456789.-"):
        raise OperateError(f"{environment!r} is no environment name. Name one with ENV=<environment>.")
    if confirm is not None and confirm != environment:
        raise OperateError(f"CONFIRM={confirm} does not repeat ENV={environment}; nothing was deleted.")
    if environment in outputs["environments"]:
        raise OperateError(
            f"{environment} is an environment of this stack. Take it out of the settings and run `make up` first."
        )
    flag = "" if confirm is None else f" --confirm {environment}"
    first = {**outputs, "nodes": outputs["nodes"][:1]}
    (answer,) = run_on_all(first, f"/usr/local/sbin/storage-node purge {environment}{flag}")
    if answer.status != 0:
        raise OperateError(answer.error.strip() or answer.output.strip())
    return answer.output.strip()
