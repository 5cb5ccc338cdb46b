"""From three booted machines to a volume at /data on each: by the node program with TLS, by a script, by a playbook."""

import base64
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.bare import address_of, bare_machines
from benchmarks.figures import Figure
from components import node_program
from components.qemu import disk
from components.qemu.layout import PROJECT, StackDirectory
from components.remote import INCOMING, INSTALLED
from demo.shell import Shell
from tests.authority import Authority

_SCRIPT, _PLAYBOOK, _REQUIREMENTS = (
    Path(__file__).with_name(name) for name in ("setup.sh", "playbook.yml", "requirements.txt")
)

#: The environment that the playbook runs in.
_ANSIBLE = PROJECT / ".state/bench/ansible"

#: Brings GlusterFS back to what its packages install: the node image puts its slow parts out of the way.
_AS_PACKAGED = (
    "dpkg-divert --list | sed -n 's/^local diversion of \\(.*\\) to .*/\\1/p' | "
    "xargs --no-run-if-empty --max-args=1 dpkg-divert --quiet --local --rename --remove"
)

#: How many seconds ago /data was mounted on a machine.
_MOUNTED_AGO = (
    "python3 -c \"import time; from subprocess import check_output as of; began = int(of(['systemctl', 'show', '-P', "
    "'ActiveEnterTimestampMonotonic', 'storage-node-data.service'])); print(time.monotonic() - began / 1e6)\""
)

#: No machine's, and in no machine's way.
_FLOATING_ADDRESS = "10.77.0.10"


def measure(directory: Path) -> Iterator[Figure]:
    """Both figures; ours is measured before and after the baselines, for the computer may be busier at one time.

    Ours goes on after /data is there, to NFS and the floating address; the ratio is of what both do.
    """
    _install_ansible()
    program = node_program.pack(directory / "build")
    stack = StackDirectory(directory / "bare")
    sides: dict[str, Callable[[Sequence[Shell]], None]] = {
        "ours": lambda shells: _by_node_program(shells, program),
        "script": lambda shells: _by_script(shells, directory),
        "playbook": lambda shells: _by_playbook(shells, directory),
    }
    taken: dict[str, list[float]] = {side: [] for side in sides}
    served: list[float] = []
    for number, side in enumerate(("ours", "script", "playbook", "ours")):
        with bare_machines(stack, [f"{side}-{number}-{node}" for node in "abc"]) as shells:
            if side != "ours":
                for shell in shells:
                    shell.run(_AS_PACKAGED)
            began = time.monotonic()
            sides[side](shells)
            taken[side].append(time.monotonic() - began)
            if side == "ours":
                served.append(taken[side][-1])
                taken[side][-1] = max(_mounted(shell) for shell in shells) - began
            _verify(shells)
    ours = statistics.mean(taken["ours"])
    for side in ("script", "playbook"):
        text = (
            f"{ours:.1f} s with TLS ({statistics.mean(served):.1f} s until NFS and the floating address serve), "
            f"against {taken[side][0]:.1f} s by a {side} without"
        )
        yield Figure(f"cluster-formation-{side}", ours / taken[side][0], "of its time", 0.3, "lower", text)


def _mounted(shell: Shell) -> float:
    """When the machine's /data was mounted, on this process's clock."""
    ago = float(shell.run(_MOUNTED_AGO))
    return time.monotonic() - ago


def _verify(shells: Sequence[Shell]) -> None:
    """/data is the volume on every machine, and what one wrote is read on all."""
    for shell in shells:
        shell.run(f'test "$(findmnt -n -o FSTYPE /data)" = fuse.glusterfs && echo {shell.name} >/data/{shell.name}')
    wanted = [shell.name for shell in shells]
    for shell in shells:
        read = shell.run(f"cat {' '.join(f'/data/{name}' for name in wanted)}").split()
        if read != wanted:
            raise AssertionError(f"{shell.name} reads {read} of what {wanted} wrote.")


def _by_node_program(shells: Sequence[Shell], program: node_program.NodeProgram) -> None:
    """The steps of `up`, each in a connection of its own, nodes side by side."""
    authority = Authority()
    cluster: dict[str, Any] = {
        "layout": "replicated",
        "floatingAddress": _FLOATING_ADDRESS,
        "members": [
            {"name": shell.name, "address": address_of(number), "id": str(uuid.uuid4())}
            for number, shell in enumerate(shells)
        ],
    }

    def member(shell: Shell) -> str:
        private_key, certificate = authority.member(shell.name)
        proof = {"privateKey": private_key, "certificate": certificate, "authority": authority.certificate}
        told = {
            "program": program.sha256,
            "name": shell.name,
            "stack": "bench",
            "topology": "cluster",
            "device": disk.device_of(f"{shell.name}-data"),
            "filesystem": str(uuid.uuid4()),
            "dataPath": "/data",
            "sizeGb": 10,
            "firewall": {"ssh": ["10.0.2.2"]},
            "cluster": {**cluster, **proof, "secret": "s" * 64},
        }
        with shell.again() as copy:
            packed = base64.b64encode(program.path.read_bytes()).decode()
            copy.run(f"mkdir -p $(dirname {INCOMING}) && base64 -d >{INCOMING}", stdin=packed)
        return str(_step(shell, f"python3 -IS {INCOMING} configure", told)["brick"])

    served = {"program": program.sha256, "dataPath": "/data", "environments": {}}
    with ThreadPoolExecutor(len(shells)) as pool:
        bricks = dict(zip([shell.name for shell in shells], pool.map(member, shells), strict=True))
        volume = {"program": program.sha256, "cluster": cluster, "bricks": bricks}
        _step(shells[0], f"{INSTALLED} volume", volume)
        list(pool.map(lambda shell: _step(shell, f"{INSTALLED} environments", served), shells))


def _step(shell: Shell, line: str, told: dict[str, Any]) -> dict[str, Any]:
    with shell.again() as connection:
        return dict(json.loads(connection.run(line, stdin=json.dumps(told))))


def _by_script(shells: Sequence[Shell], directory: Path) -> None:
    nodes = [f"{shell.name}={address_of(number)}" for number, shell in enumerate(shells)]
    _run(["bash", str(_SCRIPT), str(_ssh_settings(shells, directory)), *nodes])


def _by_playbook(shells: Sequence[Shell], directory: Path) -> None:
    hosts = {shell.name: {"address": address_of(number)} for number, shell in enumerate(shells)}
    inventory = directory / "inventory.json"
    python = {"ansible_python_interpreter": "/usr/bin/python3"}
    inventory.write_text(json.dumps({"storage": {"hosts": hosts, "vars": python}}), encoding="utf-8")
    settings = {
        "ANSIBLE_HOME": str(directory / "ansible"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_SSH_ARGS": f"-F {_ssh_settings(shells, directory)} -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp"),
    }
    _run([str(_ANSIBLE / "bin/ansible-playbook"), "-i", str(inventory), str(_PLAYBOOK)], settings)


def _ssh_settings(shells: Sequence[Shell], directory: Path) -> Path:
    """A file of settings by which ssh knows the machines."""
    lines = []
    for shell in shells:
        address, port, host_key, private_key = shell.way
        key, known = (directory / f"{shell.name}{suffix}" for suffix in (".key", ".known"))
        key.touch(mode=0o600)
        key.write_text(private_key, encoding="utf-8")
        known.write_text(f"[{address}]:{port} {host_key}\n", encoding="utf-8")
        lines += [f"Host {shell.name}", f"  HostName {address}", f"  Port {port}", "  User root"]
        lines += [f"  IdentityFile {key}", "  IdentitiesOnly yes", f"  UserKnownHostsFile {known}"]
    settings = directory / "ssh_config"
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return settings


def _install_ansible() -> None:
    """ansible-core in an environment of its own, once."""
    done = _ANSIBLE / "requirements.txt"
    wanted = _REQUIREMENTS.read_text(encoding="utf-8")
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        _run([sys.executable, "-m", "venv", "--clear", str(_ANSIBLE)])
        _run([str(_ANSIBLE / "bin/pip"), "install", "-q", "--disable-pip-version-check", "-r", str(_REQUIREMENTS)])
        done.write_text(wanted, encoding="utf-8")


def _run(line: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        line,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{line[0]} ended with {done.returncode}:\n{done.stdout}")
