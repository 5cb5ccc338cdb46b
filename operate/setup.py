"""Installs what a stack needs on this computer, each part by the room that knows how."""

import subprocess
import sys

from operate.errors import OperateError
from operate.project import HOME, ensure_passphrase, platform, stack_file


def setup(stack: str) -> None:
    """Makes engine, machine tools and node image available; quick where nothing is missing.

    Raises OperateError where a part could not be installed; the part itself has said why.
    """
    _part("engine", "install")
    if platform(stack) == "local":
        _part("components.qemu", "setup")
        _part("components.qemu", "image")
    if not stack_file(stack).get("encryptionsalt"):
        ensure_passphrase(stack)


def _part(module: str, command: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, command], cwd=HOME, check=False)
    if done.returncode != 0:
        raise OperateError(f"Set-up stopped at `python -m {module} {command}` (status {done.returncode}).")
