"""Snapshots as restic itself lists them: slow, and right by definition."""

from __future__ import annotations

import json

from storage_node import passwords
from storage_node.catalogue import snapshot
from storage_node.catalogue.snapshot import Snapshot
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.restic import command
from storage_node.restic.command import Repository


def snapshots(paths: Paths, environment: str) -> list[Snapshot]:
    """An environment's snapshots, oldest first, without a lock in anyone's way."""
    path = paths.repository(environment)
    password = passwords.read(paths.passwords / environment)
    if password is None:
        raise NodeError(f"No password for {environment} is on this node; run `pulumi up`.")
    if not path.is_dir():
        raise NodeError(f"The repository {path} is missing.")
    output = command.run(Repository(path, path.stat().st_uid), ["snapshots", "--json", "--no-lock"], password)
    return snapshot.oldest_first(snapshot.from_restic(value["id"], value) for value in json.loads(output) or [])
