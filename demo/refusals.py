"""What the storage must refuse, each tried for real from an application machine."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from demo.flow import Stage
from demo.shell import Result, Shell

_HANDLES = Path(__file__).with_name("handles.py")

#: The XFS root directory's inode; its generation is always 0, so anybody can name it.
_XFS_ROOT_INODE = 128

#: The id of the root of every GlusterFS volume.
_VOLUME_ROOT = "00" * 15 + "01"

#: The first environment's user, whose export is the first on a cluster.
_FIRST_USER = 200000

#: Where failed mounts are tried.
_TRIAL = "/mnt/trial"

Refusal = tuple[str, Callable[[Stage], str]]


def refusals() -> Iterator[Refusal]:
    """The refusals in their order."""
    yield "a reader cannot write, delete or forget in what it reads", reader_is_read_only
    yield "no mount of another environment, of the parent, or by NFSv3", mounts_are_refused
    yield "no password opens another's repository", passwords_are_apart
    yield "forged NFS file handles reach nothing", forged_handles_are_refused
    yield "the pseudo root shows nothing of others", pseudo_root_is_narrow
    yield "only SSH and NFS answer, and SSH not to applications", ports_are_closed
    yield "a machine that is no client reaches nothing", stranger_is_refused
    yield "another's address as an alias opens nothing", aliases_are_refused


def reader_is_read_only(stage: Stage) -> str:
    """Reading is all that a reader may do, on the file system and through restic; the repository stays as it was."""
    granted = stage.reader.own["restoreFrom"][stage.site.name]
    path, machine = granted["repository"], stage.reader.machine
    before = _contents(stage.operator, stage.site.name)
    for command in (f"touch {path}/intruder", f"rm -f {path}/config", f"rm -rf {path}/data", f"chmod 777 {path}"):
        _refused(machine.attempt(command), command, "Read-only file system")
    # restic itself tries for a quarter of an hour before it gives up on a lock that it cannot write.
    forget = f"timeout -s KILL 60 restic --repo {path} forget --keep-last 1 --group-by host --prune"
    _refused(machine.attempt(forget, stdin=granted["password"] + "\n"), forget)
    if _contents(stage.operator, stage.site.name) != before:
        raise AssertionError("The repository is not as it was after a reader's attempts to change it.")
    return "5 attempts, 5 refusals, the repository unchanged"


def mounts_are_refused(stage: Stage) -> str:
    """The site's machine tries what it was not given."""
    host = stage.addon["nodes"][0]["privateAddress"]
    tried = [
        ("nfs4", "vers=4.2", f"{host}:/data/{stage.reader.name}"),
        ("nfs4", "vers=4.2", f"{host}:/data/{stage.site.name}/../{stage.reader.name}"),
        ("nfs4", "vers=4.1", f"{host}:/data/{stage.reader.name}/data"),
        ("nfs4", "vers=4.0", f"{host}:/data/{stage.site.name}"),
        ("nfs", "vers=3,proto=tcp,nolock", f"{host}:/data/{stage.reader.name}"),
        ("nfs", "vers=3,proto=tcp,nolock", f"{host}:/data/{stage.site.name}"),
        ("nfs4", "vers=4.2", f"{host}:/etc"),
    ]
    for kind, options, source in tried:
        _refused(_mount(stage.site.machine, kind, options, source), f"mount of {source} with {options}")
    return f"{len(tried)} attempts, {len(tried)} refusals"


def passwords_are_apart(stage: Stage) -> str:
    """Another environment's password, the environment's name and an empty password open nothing."""
    own = stage.site.own
    for password in (stage.reader.own["password"], stage.site.name, ""):
        wrong = {"repository": own["repository"], "password": password}
        result = stage.site.restic("cat config", wrong, seconds=300)
        if result.status == 0:
            raise AssertionError(f"Another password opened the repository of {stage.site.name}.")
    return "3 attempts, 3 refusals"


def forged_handles_are_refused(stage: Stage) -> str:
    """With a control: a forged handle of the machine's own directory works, so the tool does forge."""
    operator, machine = stage.operator, stage.site.machine
    for shell in (operator, machine):
        shell.put("/root/handles.py", _HANDLES.read_text(encoding="utf-8"))
    own_mount = stage.site.own["repository"]
    own = _describe(operator, f"/data/{stage.site.name}/keys")
    control = _forge(machine, own_mount, own, _describe(operator, f"/data/{stage.site.name}/snapshots"))
    if control["outcome"] != "opened":
        raise AssertionError(f"The control failed, so the refusals below would prove nothing: {control}")
    other = f"/data/{stage.reader.name}"
    key = operator.run(f"find {other}/keys -type f | head -n 1").strip()
    user = int(operator.run(f"stat -c %u {other}"))
    targets = [_describe(operator, path) for path in ("/data/", other, f"{other}/keys", f"{other}/config", key)]
    if "id" in own:
        targets.append({"id": _VOLUME_ROOT})
        other_export = user - _FIRST_USER + 1
    else:
        targets.append({"inode": _XFS_ROOT_INODE, "generation": 0})
        other_export = user
    for target in targets:
        for export in (None, other_export):
            outcome = _forge(machine, own_mount, own, target, export)
            if outcome["outcome"] != "refused":
                raise AssertionError(f"A forged handle {target} (export {export}) gave: {outcome['detail']}")
    return f"{2 * len(targets)} forged handles refused, the control opened"


def pseudo_root_is_narrow(stage: Stage) -> str:
    """Mounting the server's root shows a client only the way to its own exports."""
    host = stage.addon["nodes"][0]["privateAddress"]
    machine = stage.site.machine
    machine.run(f"mkdir -p {_TRIAL} && timeout -s KILL 90 mount -t nfs4 -o vers=4.2,soft {host}:/ {_TRIAL}")
    try:
        names = machine.run(f"ls {_TRIAL}/data").split()
    finally:
        machine.run(f"umount {_TRIAL}")
    if names != [stage.site.name]:
        raise AssertionError(f"The pseudo root shows {names} to {stage.site.name}.")
    return f"only {names[0]}"


def ports_are_closed(stage: Stage) -> str:
    """From a client's machine only NFS answers."""
    host = stage.addon["nodes"][0]["privateAddress"]
    open_ports = _open_ports(stage.site.machine, host)
    if open_ports != [2049]:
        raise AssertionError(f"Ports {open_ports} answer to a client; only 2049 may.")
    return "only 2049 answers"


def stranger_is_refused(stage: Stage) -> str:
    """A machine on the same network that is nobody's client finds nothing, whatever it asks for."""
    host = stage.addon["nodes"][0]["privateAddress"]
    open_ports = _open_ports(stage.stranger, host)
    if open_ports:
        raise AssertionError(f"A stranger reached ports {open_ports}.")
    source = f"{host}:/data/{stage.site.name}"
    _refused(_mount(stage.stranger, "nfs4", "vers=4.2", source), f"mount of {source} by a stranger")
    return "no port answers, no mount"


def aliases_are_refused(stage: Stage) -> str:
    """A machine that calls itself by a client's or a node's address: the network does not carry what it sends.

    The control is that client itself, which reaches the storage in the same way.
    """
    host = stage.addon["nodes"][0]["privateAddress"]
    _, client = _way(stage.site.machine, host)
    if _open_ports(stage.site.machine, host, client) != [2049]:
        raise AssertionError(f"The control failed: {client} does not reach port 2049 from its own address.")
    interface, _ = _way(stage.stranger, host)
    tried = [client, *(node["privateAddress"] for node in stage.addon["nodes"][1:])]
    for alias in tried:
        stage.stranger.run(f"ip address add {alias}/32 dev {interface}")
        try:
            open_ports = _open_ports(stage.stranger, host, alias)
        finally:
            stage.stranger.run(f"ip address delete {alias}/32 dev {interface}")
        if open_ports:
            raise AssertionError(f"A stranger that calls itself {alias} reached ports {open_ports}.")
    return f"{len(tried)} addresses tried, none believed"


def _way(machine: Shell, host: str) -> tuple[str, str]:
    """The network interface by which a machine reaches a host, and its own address there."""
    words = machine.run(f"ip route get {host}").split()
    return words[words.index("dev") + 1], words[words.index("src") + 1]


def _mount(machine: Shell, kind: str, options: str, source: str) -> Result:
    """Tries a mount, and takes it away at once where it worked."""
    result = machine.attempt(
        f"mkdir -p {_TRIAL} && timeout -s KILL 30 mount -t {kind} -o {options},soft,retry=0 {source} {_TRIAL}"
    )
    if result.status == 0:
        machine.run(f"umount {_TRIAL}")
    return result


def _refused(result: Result, attempt: str, reason: str = "") -> None:
    if result.status == 0 or reason not in result.error:
        raise AssertionError(f"`{attempt}` was not refused as it must be: status {result.status}, {result.error}")


def _open_ports(machine: Shell, host: str, source: str = "") -> list[int]:
    """Those of the ports that a storage might listen on which accept a connection, from this source address."""
    # All at once: one that is closed by a firewall says nothing, and each is waited for.
    script = (
        "import socket\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def is_open(port):\n"
        "    with socket.socket() as probe:\n"
        "        probe.settimeout(3)\n"
        f"        probe.bind(('{source}', 0))\n"
        f"        return probe.connect_ex(('{host}', port)) == 0\n"
        "ports = (22, 111, 2049, 20048, 24007, 24008, 24011, 49152, 8000)\n"
        "with ThreadPoolExecutor(len(ports)) as pool:\n"
        "    print(*(port for port, found in zip(ports, pool.map(is_open, ports)) if found))\n"
    )
    return [int(word) for word in machine.run("python3 -", stdin=script).split()]


def _contents(operator: Shell, name: str) -> str:
    """A digest of a repository's names, sizes, modes and owners."""
    return operator.run(f"find /data/{name} -printf '%P %s %m %U %T@\\n' | sort | sha256sum")


def _describe(operator: Shell, path: str) -> dict[str, Any]:
    return dict(json.loads(operator.run(f"python3 /root/handles.py describe {path}")))


def _forge(
    machine: Shell, mount: str, own: dict[str, Any], target: dict[str, Any], export: int | None = None
) -> dict[str, str]:
    described = " ".join(shlex.quote(json.dumps(each)) for each in (own, target))
    line = f"python3 /root/handles.py forge {mount} {described}"
    return dict(json.loads(machine.run(line + ("" if export is None else f" --export {export}"), seconds=120)))
