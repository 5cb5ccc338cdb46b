"""Deletes the kept backups of an environment that was removed, on the operator's explicit word."""

from collections.abc import Mapping
from typing import Any

from operate.errors import OperateError
from operate.nodes import run_on

#: What a node says that has neither the repository nor a password any more.
_NOTHING_LEFT = "nothing was deleted"


def purge(outputs: Mapping[str, Any], environment: str, confirm: str | None) -> str:
    """Asks a node to delete one environment's repository; without ``confirm`` it only says what would go.

    The nodes of a cluster share the repositories, but each keeps a password of its own: the others are asked too.
    Raises OperateError where a node refuses or, once the repository is gone, cannot be asked.
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
    command = f"/usr/local/sbin/storage-node purge {environment}{flag}"
    names = [node["name"] for node in outputs["nodes"]]
    for name in names:
        (answer,) = run_on(outputs, command, [name])
        if answer.status is not None:
            break
    if answer.status != 0:
        raise OperateError(answer.error.strip() or answer.output.strip())
    for left in run_on(outputs, command, [name for name in names if name != answer.node]):
        if left.status != 0 and _NOTHING_LEFT not in left.error:
            raise OperateError(f"{left.node} still keeps the password of {environment}: {left.error.strip()}")
    return answer.output.strip()
