"""Where things are in this checkout, and what a stack's settings file says."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from operate.errors import OperateError

HOME = Path(__file__).resolve().parent.parent

#: Everything that a checkout makes: state backend, passphrase, machines. Never committed.
STATE = HOME / ".state"

#: As in Pulumi.yaml.
PROJECT_NAME = "backup-storage"

PASSPHRASE = STATE / "passphrase"


def stack_name() -> str:
    """The stack that the Makefile names."""
    return os.environ.get("STACK") or "dev"


def stack_file(stack: str) -> dict[str, Any]:
    """The content of a stack's settings file, empty where there is none. Raises OperateError where it is no YAML."""
    path = HOME / f"Pulumi.{stack}.yaml"
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise OperateError(f"{path.name} is no valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise OperateError(f"{path.name} holds {type(content).__name__}, not the mapping of a stack's settings.")
    return content


def platform(stack: str) -> str:
    """The platform that a stack's settings name."""
    return str((stack_file(stack).get("config") or {}).get("backup-storage:platform", "local"))


def environment() -> dict[str, str]:
    """State backend and passphrase for Pulumi, leaving alone whatever the user has chosen already."""
    chosen = {}
    if not os.environ.get("PULUMI_BACKEND_URL") and not _logged_in() and not _project_backend():
        backend = STATE / "pulumi"
        backend.mkdir(parents=True, exist_ok=True)
        chosen["PULUMI_BACKEND_URL"] = f"file://{backend}"
    if not os.environ.get("PULUMI_CONFIG_PASSPHRASE") and not os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        chosen["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(PASSPHRASE)
    return chosen


def file_backend() -> Path | None:
    """The directory of the file backend, None where another backend is in force."""
    url = os.environ.get("PULUMI_BACKEND_URL", "")
    return Path(unquote(url.removeprefix("file://"))).expanduser() if url.startswith("file://") else None


def ensure_passphrase(stack: str) -> None:
    """Makes the passphrase file where Pulumi needs one and there is none.

    Raises OperateError where the stack was encrypted already: a new passphrase could not open it.
    """
    chosen = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE") or str(PASSPHRASE)
    # `activate` puts this checkout's own file into the environment, whether it exists yet or not.
    if os.environ.get("PULUMI_CONFIG_PASSPHRASE") or chosen != str(PASSPHRASE) or PASSPHRASE.exists():
        return
    if stack_file(stack).get("encryptionsalt"):
        raise OperateError(
            f"Pulumi.{stack}.yaml is encrypted with a passphrase that this checkout does not have. Put the team's "
            f"passphrase into {PASSPHRASE} (mode 0600), or set PULUMI_CONFIG_PASSPHRASE_FILE."
        )
    STATE.mkdir(exist_ok=True)
    draft = PASSPHRASE.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    draft.replace(PASSPHRASE)


def _logged_in() -> bool:
    """Whether ``pulumi login`` has chosen a backend for this user."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    credentials = home / "credentials.json"
    if not credentials.exists():
        return False
    return bool((yaml.safe_load(credentials.read_text(encoding="utf-8")) or {}).get("current"))


def _project_backend() -> bool:
    project = yaml.safe_load((HOME / "Pulumi.yaml").read_text(encoding="utf-8"))
    return bool((project.get("backend") or {}).get("url"))
