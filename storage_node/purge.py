"""`purge`: the one way to delete an environment's data, and only when asked twice, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage_node import atomic, mount, names, node, passwords, repositories, usage
from storage_node.catalogue import cache
from storage_node.errors import NodeError
from storage_node.paths import PURGED_PREFIX, Paths


class UnconfirmedError(NodeError):
    """Nothing was deleted: the name was not given twice. The sentence says what would go."""

    status = 2


def apply(paths: Paths, environment: str, confirmed: str | None) -> dict[str, Any]:
    """Deletes a withdrawn environment's repository and kept password; raises NodeError for anything else."""
    if not names.is_environment_name(environment):
        raise NodeError(f"{environment!r} cannot be an environment's name: {names.RULE}.")
    node.load(paths)
    mount.require(paths.data, paths.data_path)
    path = paths.repository(environment)
    kept = (paths.withdrawn / environment).exists()
    is_active = (paths.passwords / environment).exists()
    if is_active and path.exists():
        raise NodeError(
            f"{environment} is in use and was not deleted; take it out of the environments in the stack's settings, "
            "run `pulumi up`, and purge it then."
        )
    if not path.exists() and not kept and not is_active:
        raise NodeError(f"There is no {path} and no password kept for {environment}; nothing was deleted.")
    size = usage.by_walking(path) if path.is_dir() else 0
    if confirmed != environment:
        raise UnconfirmedError(
            f"This would delete {path} for good ({size // 10**6} MB, {_snapshots(path)} snapshots) and the password "
            f"kept for it. If that is meant, run `storage-node purge {environment} --confirm {environment}`."
        )
    if path.exists():
        # Renamed first: cut off from here on, the next run deletes the rest, and nobody takes it for a repository.
        doomed = paths.data / f"{PURGED_PREFIX}{environment}"
        repositories.remove_tree(doomed)
        path.rename(doomed)
        atomic.sync_directory(paths.data)
        repositories.remove_tree(doomed)
    cache.forget(paths, environment)
    for file in (paths.withdrawn / environment, paths.passwords / environment):
        atomic.remove(file)
    for reader in passwords.readers(paths, environment):
        atomic.remove(paths.readers / environment / reader)
    return {"purged": environment, "freedBytes": size}


def _snapshots(path: Path) -> int:
    try:
        return sum(1 for _ in (path / "snapshots").iterdir())
    except OSError:
        return 0
