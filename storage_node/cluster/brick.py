"""The brick: a directory on this node's own data disk, and the disk's only content."""

from __future__ import annotations

import os
import secrets

from storage_node import atomic
from storage_node.errors import NodeError
from storage_node.paths import Paths

_PREFIX = "brick-"


def ensure(paths: Paths) -> str:
    """The brick's directory as glusterd is to know it, made on a disk that has none.

    Its name is new with every fresh disk, so that the cluster can tell a lost brick from the one in its place.
    """
    place = paths.at(paths.brick_mount)
    found = sorted(entry.name for entry in place.iterdir() if entry.name.startswith(_PREFIX))
    if len(found) > 1:
        raise NodeError(f"{paths.brick_mount} holds several bricks ({', '.join(found)}); keep the one in use.")
    if not found:
        found = [f"{_PREFIX}{secrets.token_hex(4)}"]
        (place / found[0]).mkdir(mode=0o755)
        atomic.sync_directory(place)
    return os.path.join(paths.brick_mount, found[0])  # noqa: PTH118 - a path of the node's, not of this root's
