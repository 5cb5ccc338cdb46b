"""``python -m operate``: the commands behind the Makefile."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence

from operate.engine import ensure_stack, outputs
from operate.errors import OperateError
from operate.nodes import interactive
from operate.project import environment, stack_name
from operate.purge import purge
from operate.recover import recover
from operate.repair import repair
from operate.replace import replace
from operate.report.command import report
from operate.report.frame import MOST_CHARACTERS, Frame
from operate.setup import setup
from operate.status import show, status
from plan.addon import share


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit status."""
    options = _parser().parse_args(arguments)
    stack = options.stack or stack_name()
    try:
        return _dispatch(options, stack)
    except OperateError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="operate", description=__doc__)
    parser.add_argument("--stack", help="the stack, STACK or dev where it is left out")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install what is missing on this computer")
    commands.add_parser("env", help="print the environment of `activate` as shell lines")
    commands.add_parser("stack", help="make sure that the stack exists")
    part = commands.add_parser("outputs", help="print the add-on's outputs (holds secrets)")
    part.add_argument("environment", nargs="?", help="only what this environment's add-on may see")
    part = commands.add_parser("status", help="show the state of every node")
    part.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("repair", help="run every step on every node again")
    part = commands.add_parser("replace", help="bring a fresh machine into a node's place")
    part.add_argument("node", help="the node's name")
    part = commands.add_parser("recover", help="take what is there over into a new state, after the old one was lost")
    part.add_argument("--confirm", help="the stack's name again")
    part = commands.add_parser("ssh", help="open a shell on a node")
    part.add_argument("--node", help="the node's name, the first where it is left out")
    part.add_argument("remote_command", nargs="*", help="run this there")
    part = commands.add_parser("purge", help="delete the kept backups of a removed environment")
    part.add_argument("environment")
    part.add_argument("--confirm", help="the environment's name again")
    preview_report = commands.add_parser("preview-report", help="print what an up would do as Markdown")
    preview_report.add_argument("--limit", type=int, default=MOST_CHARACTERS, help="how many characters it may have")
    preview_report.add_argument("--allowed", action="store_true", help="what is dangerous has been allowed")
    preview_report.add_argument("--drift", action="store_true", help="look at the real resources; expect no changes")
    preview_report.add_argument("engine", nargs="*", help="further arguments for `pulumi preview`, after --")
    return parser


def _dispatch(options: argparse.Namespace, stack: str) -> int:
    match options.command:
        case "setup":
            setup(stack)
        case "env":
            for name, value in environment().items():
                print(f"export {name}={shlex.quote(value)}")
        case "stack":
            ensure_stack(stack)
        case "outputs":
            _print_outputs(stack, options.environment)
        case "status":
            result = status(outputs(stack))
            print(json.dumps(result)) if options.json else show(result)
            return 0 if result["healthy"] else 1
        case "repair":
            repair(stack)
        case "replace":
            replace(stack, options.node)
        case "recover":
            print(recover(stack, options.confirm))
        case "ssh":
            return interactive(outputs(stack), options.node, options.remote_command)
        case "preview-report":
            frame = Frame(stack, limit=options.limit, allowed=options.allowed, drift=options.drift)
            made = report(frame, options.engine)
            print(made.text, end="")
            return made.status
        case "purge":
            print(purge(outputs(stack), options.environment, options.confirm))
    return 0


def _print_outputs(stack: str, name: str | None) -> None:
    addon = outputs(stack)["addon"]
    try:
        print(json.dumps(share(addon, name) if name else addon, indent=2))
    except KeyError as error:
        raise OperateError(str(error.args[0])) from error


if __name__ == "__main__":
    raise SystemExit(main())
