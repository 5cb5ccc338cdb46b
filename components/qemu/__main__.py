"""``python -m components.qemu``: set-up for the local platform, and a look at its machines by hand."""

import argparse
import json
import os
import sys
import time
from typing import Any

from components.qemu import command, disk, host, image, leftovers, network, switch
from components.qemu.disk import DiskError
from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine, MachineError

_STARTED = time.monotonic()


def _progress(line: str) -> None:
    print(f"node image: {line} ({time.monotonic() - _STARTED:.0f} s)", flush=True)


def _setup(_: argparse.Namespace) -> None:
    host.setup(lambda line: print(f"machine tools: {line}", flush=True))


def _image(_: argparse.Namespace) -> None:
    if image.find() is None:
        _progress("building it, once for all stacks; this takes one to three minutes")
        _progress(f"ready in {image.ensure(_progress).directory}")


def _list(options: argparse.Namespace) -> None:
    stack = StackDirectory.of(options.root)
    if options.json:
        print(json.dumps(_found(stack)))
        return
    print(f"network: {'on' if network.is_running(stack.network) else 'off'}")
    for name in stack.machine_names():
        machine = Machine(stack, name)
        if definition := machine.definition:
            state = "on" if machine.is_running() else "off"
            ssh = f"ssh -p {definition.ssh_port} root@{definition.address}"
            print(f"machine {name}: {state}, {definition.private_address}, {ssh}")
    for path in sorted(stack.root.glob("disks/*.qcow2")):
        print(f"disk {path.stem}: {disk.size_gb(stack, path.stem)} GB")


def _found(stack: StackDirectory) -> dict[str, Any]:
    """What there is in a stack's directory, for programs; a machine counts where it still has its system disk."""
    machines = [Machine(stack, name) for name in stack.machine_names()]
    return {
        "machines": [machine.name for machine in machines if (machine.directory / command.ROOT_DISK).exists()],
        "disks": {path.stem: disk.size_gb(stack, path.stem) for path in sorted(stack.root.glob("disks/*.qcow2"))},
    }


def _sweep(options: argparse.Namespace) -> None:
    stack = StackDirectory.of(options.root)
    for name in leftovers.sweep(stack):
        print(f"disk {name} holds data and is kept")
    for name in stack.machine_names():
        print(f"machine {name}, whose disk that is, is off and kept; `make recover` takes both over into a new state")


def _machine(options: argparse.Namespace) -> None:
    machine = Machine(StackDirectory.of(options.root), options.name)
    getattr(machine, options.command)()


def main() -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m components.qemu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run, text in (
        ("setup", _setup, "install the tools that machines and their image need"),
        ("image", _image, "build the node image unless it is there"),
        ("list", _list, "what there is in a stack's directory"),
        ("sweep", _sweep, "remove everything in a stack's directory that holds no data"),
        ("start", _machine, "start a machine"),
        ("stop", _machine, "shut a machine down"),
        ("kill", _machine, "cut a machine's power"),
    ):
        part = commands.add_parser(name, help=text)
        part.set_defaults(run=run)
        if run in (_list, _sweep, _machine):
            part.add_argument("--root", required=True, help="the stack's directory, as .state/local/dev")
        if run is _list:
            part.add_argument("--json", action="store_true", help="for programs")
        if run is _machine:
            part.add_argument("name", help="the machine")
    commands.add_parser("switch", help="serve a stack's network").add_argument("directory")
    options = parser.parse_args()
    if options.command == "switch":
        # By its own file, which is how the switch of a directory is told from other processes.
        os.chdir(options.directory)
        os.execv(sys.executable, [sys.executable, "-I", switch.__file__])  # noqa: S606 - there is no shell to it
    try:
        options.run(options)
    except (host.HostError, image.ImageError, network.NetworkError, MachineError, DiskError, ValueError) as error:
        print(f"{parser.prog} {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog} {options.command}: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
