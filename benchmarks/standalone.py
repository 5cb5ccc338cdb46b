"""A standalone storage: how soon it is usable, how fast restic is on it, and what `up` costs."""

import base64
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bare import bare_machines
from benchmarks.figures import Figure
from components import node_program
from components.qemu import disk
from components.qemu.layout import StackDirectory
from demo.addon import Addon
from demo.machines import application_machines
from demo.shell import Shell
from demo.tree import Tree
from plan.addon import share
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project, connections

_SCRIPT = Path(__file__).with_name("standalone_setup.sh")

#: Each side of a ratio is measured so often, in turn; the medians are compared.
_ROUNDS = 3

_PASSWORDS = {name: letter * 40 for name, letter in (("shop", "a"), ("blog", "b"))}


def measure() -> Iterator[Figure]:
    """All figures of a standalone storage."""
    with tempfile.TemporaryDirectory() as directory:
        yield _setup_ratio(Path(directory))
        project = Project(Path(directory, "project"), environments=ENVIRONMENTS, protect=False)
        try:
            project.make("up")
            yield _connections(project)
            yield _no_op_up(project)
            yield from _restic_ratios(project)
        finally:
            project.make("destroy")


def _setup_ratio(directory: Path) -> Figure:
    """From a booted machine to a storage that serves two environments, against the shell script."""
    program = node_program.pack(directory / "build")
    ours, script = [], []
    stack = StackDirectory(directory / "bare")
    for number in range(2):
        with bare_machines(stack, [f"script-{number}", f"ours-{number}"]) as shells:
            script.append(_seconds(lambda: _by_script(shells[0])))
            ours.append(_seconds(lambda: _by_node_program(shells[1], program)))
    ratio = statistics.median(ours) / statistics.median(script)
    text = f"against one shell script over one SSH session, {statistics.median(script):.1f} s"
    return Figure("standalone-setup", ratio, "of the script's time", 1.0, "lower", text)


def _by_script(shell: Shell) -> None:
    script = base64.b64encode(_SCRIPT.read_bytes()).decode()
    shell.run(
        f"base64 -d >/root/setup.sh <<<{script} && bash /root/setup.sh {disk.device_of(f'{shell.name}-data')}",
        stdin="".join(f"{password}\n" for password in _PASSWORDS.values()),
    )


def _by_node_program(shell: Shell, program: node_program.NodeProgram) -> None:
    """The three connections of `up`: copy, configuration, environments."""
    with shell.again() as copy:
        copy.run(
            "mkdir -p /var/lib/storage-node && base64 -d >/var/lib/storage-node/incoming.pyz",
            stdin=base64.b64encode(program.path.read_bytes()).decode(),
        )
    configuration = {
        "program": program.sha256,
        "name": shell.name,
        "stack": "bench",
        "topology": "standalone",
        "device": disk.device_of(f"{shell.name}-data"),
        "filesystem": "5f0e0c7e-3c56-4f7e-8a53-0f4c52f2c1aa",
        "dataPath": "/data",
        "sizeGb": 10,
        "firewall": {"ssh": ["10.0.2.2"]},
    }
    with shell.again() as configure:
        configure.run("python3 -IS /var/lib/storage-node/incoming.pyz configure", stdin=json.dumps(configuration))
    environments = {
        name: {"password": _PASSWORDS[name], "generation": 1, "clients": values["clients"], "readers": {}}
        for name, values in ENVIRONMENTS.items()
    }
    told = {"program": program.sha256, "dataPath": "/data", "environments": environments}
    with shell.again() as serve:
        serve.run("/usr/local/sbin/storage-node environments", stdin=json.dumps(told))


def _connections(project: Project) -> Figure:
    with project.operator() as operator:
        count = connections(operator) - 1
    return Figure("standalone-ssh-connections", count, "connections", 6, "lower", "first up, two environments")


def _no_op_up(project: Project) -> Figure:
    seconds = [_seconds(lambda: project.make("up")) for _ in range(_ROUNDS)]
    return Figure("standalone-no-op-up", statistics.median(seconds), "s", 10, "lower", "make up, nothing changed")


def _restic_ratios(project: Project) -> Iterator[Figure]:
    """restic on an application machine over NFS, against restic on the node's own /data."""
    outputs = project.outputs()
    stack = StackDirectory(project.root / ".state/local/test")
    with project.operator() as node, application_machines(stack, {"shop": "10.77.0.101"}, print) as shells:
        addon = Addon(shells["shop"], "shop", share(outputs["addon"], "shop"))
        addon.mount()
        sides = {"nfs": (shells["shop"], addon.own["repository"]), "own": (node, "/data/shop")}
        taken: dict[tuple[str, str], list[float]] = {}
        for number in range(_ROUNDS):
            for side, (shell, repository) in sides.items():
                tree = Tree(shell, f"/srv/{side}-{number}", seed=number * 2 + (side == "own"))
                tree.make()
                for work in (f"backup -q --host {side} {tree.path}", f"restore -q latest --host {side} -t /srv/back"):
                    line = f"restic --repo {repository} {work}"
                    run = _timed(shell, line, addon.own["password"])
                    taken.setdefault((side, work.split(" ")[0]), []).append(run)
                shell.run("rm -rf /srv/back")
            node.run("chown -R --reference=/data/shop /data/shop")
    for work in ("backup", "restore"):
        own, nfs = (statistics.median(taken[side, work]) for side in ("own", "nfs"))
        text = f"against restic on the node's own /data, {own:.1f} s"
        yield Figure(f"standalone-nfs-{work}", own / nfs, "of its speed", 0.8, "higher", text)


def _timed(shell: Shell, line: str, password: str) -> float:
    return _seconds(lambda: shell.run(line, stdin=password + "\n", seconds=1800))


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
