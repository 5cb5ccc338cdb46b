"""The look at machines that exist already, while a change is previewed and before anything is touched.

It runs in the engine's check of one resource, which knows the inputs of the last `up`: machines of which nothing has
changed since are not connected to. So a preview without changes opens no connection, and a machine that is down holds
up no change that does not concern it. All others are looked at side by side, and all that is wrong is told at once.
"""

import asyncio
import base64
import json
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh
from pulumi.dynamic import CheckFailure, CheckResult, ConfigureRequest, CreateResult, DiffResult, UpdateResult
from pulumi.dynamic import ResourceProvider as Provider
from typing_extensions import override

from components import node_program
from components.qemu.engine_link import end_with_engine

#: A machine that does not answer within this many seconds is called unreachable.
CONNECT_SECONDS = 15

#: A look takes well under a second; a machine may be busy.
LOOK_SECONDS = 60

#: What the node program and its packages are made for, as /etc/os-release says it.
DISTRIBUTION, VERSION = "debian", "13"

_NOT_FOUND = 127

#: What OpenSSH may prove itself with.
_HOST_KEY_ALGORITHMS = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)

#: Runs the node program out of memory: its file, in base64, is the first line on stdin.
_LOADER = (
    "import base64, os, sys; program = os.memfd_create('storage-node');"
    "os.write(program, base64.b64decode(sys.stdin.readline())); sys.path.insert(0, f'/proc/self/fd/{program}');"
    "from storage_node.cli import main; raise SystemExit(main(['survey']))"
)

Props = Mapping[str, Any]


def elevation(user: str) -> str:
    """What goes before a command that needs root; the node wants to know whence the session came, which sudo hides."""
    return "" if user == "root" else 'sudo -n env "SSH_CONNECTION=$SSH_CONNECTION" '


class HostsProvider(Provider):
    """Takes hosts over as they are; the engine's check is where they are looked at."""

    # There is no secret in it, and a secret one would hide that it never changes.
    serialize_as_secret_always = False

    @override
    def configure(self, req: ConfigureRequest) -> None:
        end_with_engine()

    @override
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        concerned = _concerned(olds, news)
        failures = survey(news, concerned) if concerned else []
        return CheckResult(news, [CheckFailure(where, text) for where, text in failures])

    @override
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("hosts", props)

    @override
    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_inputs(olds) != _inputs(news))

    @override
    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(news)


def _inputs(props: Props) -> dict[str, Any]:
    return {key: value for key, value in props.items() if not key.startswith("__")}


def _concerned(olds: Props, news: Props) -> list[int]:
    """The hosts (from 0) of which something has changed: their own entry, or what all of them share."""
    shared = [{key: value for key, value in _inputs(props).items() if key != "hosts"} for props in (olds, news)]
    known = olds.get("hosts", []) if shared[0] == shared[1] else []
    return [number for number, host in enumerate(news["hosts"]) if host not in known]


def survey(props: Props, numbers: Sequence[int]) -> list[tuple[str, str]]:
    """Looks at these hosts, side by side; each problem with the setting that it belongs to."""
    try:
        key = asyncssh.import_private_key(props["privateKey"])
    except asyncssh.KeyImportError as error:
        return [("privateKey", f"backup-storage:sshPrivateKey is no private key without a passphrase: {error}.")]
    with tempfile.TemporaryDirectory() as directory:
        program = node_program.pack(Path(directory)).path.read_bytes()

    async def all_hosts() -> list[list[str]]:
        looks = (_look(props, props["hosts"][number], key, program) for number in numbers)
        return list(await asyncio.gather(*looks))

    found = []
    for number, problems in zip(numbers, asyncio.run(all_hosts()), strict=True):
        host = props["hosts"][number]
        who = f"{host['user']}@{host['address']}:{int(host['port'])}"
        found += [(f"hosts[{number}]", f"backup-storage:hosts[{number}] ({who}): {text}") for text in problems]
    return found


async def _look(props: Props, host: Props, key: asyncssh.SSHKey, program: bytes) -> list[str]:
    address, port, user = host["address"], int(host["port"]), host["user"]
    try:
        async with (
            asyncio.timeout(LOOK_SECONDS),
            asyncssh.connect(
                address,
                port=port,
                username=user,
                client_keys=[key],
                agent_path=None,
                server_host_key_algs=_algorithms(host["hostKey"]),
                known_hosts=([asyncssh.import_public_key(host["hostKey"])], [], []),
                connect_timeout=CONNECT_SECONDS,
                config=None,
            ) as connection,
        ):
            return await _examine(connection, props, host, program)
    except asyncssh.HostKeyNotVerifiable:
        return [
            "It answers with another host key than hostKey says. Compare hostKey with /etc/ssh/ssh_host_*_key.pub on "
            "the machine's own console: if that differs too, another machine answers."
        ]
    except asyncssh.PermissionDenied:
        return [
            f"It does not let {user} in with the key of sshPrivateKey; put the public key into {user}'s "
            ".ssh/authorized_keys."
        ]
    except (OSError, asyncssh.Error, TimeoutError) as error:
        return [f"It cannot be reached ({error or 'no answer'}); check address, port and the way there."]


def _algorithms(host_key: str) -> list[str]:
    """Those of the pinned key first, then all others: a host that has no key of its type is to show another one."""
    kind = "rsa-" if host_key.startswith("ssh-rsa ") else host_key.partition(" ")[0]
    return sorted(_HOST_KEY_ALGORITHMS, key=lambda name: not name.startswith(kind))


async def _examine(connection: asyncssh.SSHClientConnection, props: Props, host: Props, program: bytes) -> list[str]:
    """Distribution and rights first: the node program is run only where both are as it needs them."""
    release = await connection.run("cat /etc/os-release")
    problems = _distribution(str(release.stdout))
    user = host["user"]
    if user != "root":
        allowed = await connection.run("sudo -n true")
        if allowed.exit_status:
            reason = str(allowed.stderr).strip().splitlines()
            problems.append(
                f"{user} may not use sudo without a password ({reason[-1] if reason else 'refused'}); put the line "
                f"`{user} ALL=(ALL) NOPASSWD: ALL` into a file in /etc/sudoers.d."
            )
    if problems:
        return problems
    asked = {
        "stack": props["stack"],
        "name": host["node"],
        "device": host["device"],
        "filesystem": host["filesystem"],
        "sizeGb": props["sizeGb"],
        "ssh": props["adminCidrs"],
    }
    done = await connection.run(
        f"{elevation(user)}python3 -IS -c {shlex.quote(_LOADER)}",
        input=f"{base64.b64encode(program).decode()}\n{json.dumps(asked)}",
    )
    if done.exit_status == _NOT_FOUND:
        return ["It has no python3, in which the node program is written; run `apt-get install python3` there."]
    if done.exit_status:
        said = str(done.stderr).strip().splitlines()
        return [f"It could not be looked at: {said[-1] if said else f'status {done.exit_status}'}."]
    return [str(text) for text in json.loads(str(done.stdout))["problems"]]


def _distribution(release: str) -> list[str]:
    values = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in release.splitlines())}
    if (values.get("ID"), values.get("VERSION_ID")) == (DISTRIBUTION, VERSION):
        return []
    found = values.get("PRETTY_NAME") or values.get("ID") or "no /etc/os-release"
    return [f"It runs {found}; a node needs Debian 13."]
