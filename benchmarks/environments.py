"""Many environments in one stack: what the engine takes for them, against three resources for each."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from benchmarks.figures import Figure

_PROGRAMS = Path(__file__).with_name("programs")

_HOME = Path(__file__).resolve().parent.parent

_MANY, _FEWER = 500, 100


def measure() -> Iterator[Figure]:
    """All figures of many environments, each side on the real engine with a state of its own."""
    with tempfile.TemporaryDirectory() as directory, ssh_server() as connection:
        three = _Stack(Path(directory, "three"), "three_each.py", connection)
        ours = _Stack(Path(directory, "ours"), "ours.py", connection)
        fewer = _Stack(Path(directory, "fewer"), "ours.py", connection)
        text = f"against three resources each, {_MANY} environments"
        first_three, first_ours, first_fewer = three.up(_MANY), ours.up(_MANY), fewer.up(_FEWER)
        yield Figure("environments-first-up", first_three / first_ours, "times as fast", 5, "higher", text)
        again_three, again_ours = three.preview(_MANY), ours.preview(_MANY)
        yield Figure("environments-no-op-preview", again_three / again_ours, "times as fast", 2, "higher", text)
        one_three, one_ours = three.up(_MANY + 1), ours.up(_MANY + 1)
        yield Figure("environments-add-one", one_three / one_ours, "times as fast", 3, "higher", text)
        growth = (first_ours / first_fewer) / (_MANY / _FEWER)
        yield Figure("environments-growth", growth, "of linear", 1.2, "lower", f"first up, from {_FEWER} to {_MANY}")


class _Stack:
    """One program with a state of its own."""

    def __init__(self, root: Path, program: str, connection: Mapping[str, Any]) -> None:
        self._root, self._connection = root, connection
        (root / "state").mkdir(parents=True)
        shutil.copy(_PROGRAMS / program, root / "__main__.py")
        runtime = f"runtime:\n  name: python\n  options:\n    virtualenv: {json.dumps(str(_HOME / '.venv'))}\n"
        (root / "Pulumi.yaml").write_text(f"name: benchmark\n{runtime}", encoding="utf-8")
        self._pulumi(0, "stack", "init", "bench")

    def up(self, environments: int) -> float:
        """Seconds of an `up` with so many environments."""
        return self._pulumi(environments, "up", "--yes", "--skip-preview", "--stack", "bench")

    def preview(self, environments: int) -> float:
        """Seconds of a preview, the better of two; the first warms the files up."""
        return min(self._pulumi(environments, "preview", "--stack", "bench") for _ in range(2))

    def _pulumi(self, environments: int, *arguments: str) -> float:
        began = time.monotonic()
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self._root,
            env={
                **os.environ,
                "PULUMI_BACKEND_URL": f"file://{self._root}/state",
                "PULUMI_CONFIG_PASSPHRASE": "benchmark",
                "PYTHONPATH": str(_HOME),
                "BENCHMARK": json.dumps({"environments": environments, "connection": dict(self._connection)}),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"pulumi {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return time.monotonic() - began


@contextmanager
def ssh_server() -> Iterator[dict[str, Any]]:
    """An SSH server on the loopback that takes any command and answers as a storage node does; gives the way to it."""
    host_key, login = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        await process.stdin.read()
        process.stdout.write('{"health": {"healthy": true}}')
        process.exit(0)

    async def start() -> asyncssh.SSHAcceptor:
        allowed = asyncssh.import_authorized_keys(login.export_public_key().decode())
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=allowed, process_factory=answer
        )

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield {
            "host": "127.0.0.1",
            "port": server.get_port(),
            "user": "root",
            "private_key": login.export_private_key().decode(),
            "host_key": host_key.export_public_key().decode().strip(),
        }
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
