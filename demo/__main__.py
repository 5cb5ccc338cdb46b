"""``make demo``: the add-on's whole flow against the running storage, on application machines of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from demo.addon import Addon
from demo.cluster import Cluster
from demo.flow import Stage, steps
from demo.loss import backup_through_node_loss
from demo.machines import application_machines
from demo.power import backup_through_power_cut
from demo.refusals import refusals
from demo.shell import Shell
from demo.tree import Tree
from plan.addon import share

#: Which environments of the stack play the parts; the reader must be allowed to restore the site's backups.
SITE, READER = "shop", "blog"

#: Where the application machines are on the stack's network; the stranger's address is no client's.
ADDRESSES = {SITE: "10.77.0.101", READER: "10.77.0.102", "stranger": "10.77.0.200"}

_HOME = Path(__file__).resolve().parent.parent

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Runs the demo; gives 0 where every step held."""
    stack = os.environ.get("STACK") or "dev"
    outputs = _outputs(stack)
    if outputs is None:
        console.print(f"Stack {stack} has no outputs. Run `make up STACK={stack}` first.")
        return 1
    directory = StackDirectory.of(f".state/local/{stack}")
    if not directory.root.exists():
        console.print(f"The demo starts application machines beside a stack of the local platform; {stack} is none.")
        return 1
    addon = outputs["addon"]
    if READER not in addon["environments"] or SITE not in addon["environments"][READER]["restoreFrom"]:
        console.print(f"The demo needs the environments {SITE} and {READER}, with {READER} a reader of {SITE}'s.")
        return 1
    return run(stack, outputs, directory)


def run(stack: str, outputs: dict[str, Any], directory: StackDirectory) -> int:
    """Every step on machines of its own, each told as it ends."""
    addon = outputs["addon"]
    console.print("Starting three application machines (about two minutes under emulation)")
    # Another site in every run, so that one run's backups take nothing from those of an earlier one.
    seed = int(time.time())
    facts = addon["nodes"][0]
    storage = Machine(directory, facts["name"])
    operator = Shell(
        facts["name"], facts["address"], facts["sshPort"], facts["hostKey"], outputs["operator"]["privateKey"]
    )
    with application_machines(directory, ADDRESSES, lambda text: None) as shells, operator:
        site = Addon(shells[SITE], SITE, share(addon, SITE))
        reader = Addon(shells[READER], READER, share(addon, READER))
        stage = Stage(operator, site, reader, shells["stranger"], addon, Tree(shells[SITE], f"/srv/site-{seed}", seed))
        for title, step in (*steps(), *refusals()):
            _tell(title, partial(step, stage))
        other = Tree(shells[SITE], f"/srv/site-{seed + 100}", seed + 100)
        if addon["topology"] == "cluster":
            cluster = Cluster(outputs, directory, _up)
            title, last = "lose the serving node during a backup", backup_through_node_loss
            _tell(title, partial(last, site, other, cluster.lose_holder, cluster.bring_back, cluster.pending_heals))
        else:
            title = "cut the storage's power during a backup"
            _tell(title, partial(backup_through_power_cut, site, other, storage.kill, _up))
    console.print("Everything held.", style="bold green")
    return 0


def _tell(title: str, work: Callable[[], str]) -> None:
    began = time.monotonic()
    result = work()
    console.print(f"[green]ok[/green] {time.monotonic() - began:6.1f} s  {title}: [dim]{result}[/dim]")


def _up() -> None:
    subprocess.run(["make", "--no-print-directory", "up"], cwd=_HOME, stdout=subprocess.DEVNULL, check=True)


def _outputs(stack: str) -> dict[str, Any] | None:
    done = subprocess.run(
        ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", stack],
        cwd=_HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    known = json.loads(done.stdout) if done.returncode == 0 else {}
    return known if "addon" in known else None


if __name__ == "__main__":
    sys.exit(main())
