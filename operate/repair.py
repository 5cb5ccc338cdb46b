"""Runs every step on every node again, so that the nodes are what the stack says once more."""

from operate.engine import drive, resources
from operate.errors import OperateError

_COMMAND = "command:remote:Command"


def repair(stack: str) -> None:
    """Has the engine replace the nodes' commands: they have nothing to delete, so each only runs anew.

    A step leaves alone what is right. Raises OperateError where the engine fails, which has then said why.
    """
    steps = [resource["urn"] for resource in resources(stack) if resource["type"] == _COMMAND]
    if not steps:
        raise OperateError(f"Stack {stack} has no nodes yet. Run `make up STACK={stack}`.")
    flags = [word for urn in steps for word in ("--replace", urn)]
    drive("up", stack, *flags, failed="The repair did not finish; what stopped it is said above.")
