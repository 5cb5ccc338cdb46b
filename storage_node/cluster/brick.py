"""The brick: a directory on this node's own data disk, and the disk's only content."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from storage_node import atomic
from storage_node.errors import NodeError
from storage_node.paths import Paths

_PREFIX = "brick-"
# An entry that is listed for so long is not one that is being written just now.
LISTED_SECONDS = 1.0


def ensure(paths: Paths) -> str:
    """The brick's directory as glusterd is to know it, made on a disk that has none.

    Its name is new with every fresh disk, so that the cluster can tell a lost brick from the one in its place.
    """
    found = [place.name for place in there(paths)]
    if len(found) > 1:
        raise NodeError(f"{paths.brick_mount} holds several bricks ({', '.join(found)}); keep the one in use.")
    if not found:
        found = [f"{_PREFIX}{secrets.token_hex(4)}"]
        (paths.at(paths.brick_mount) / found[0]).mkdir(mode=0o755)
        atomic.sync_directory(paths.at(paths.brick_mount))
    return os.path.join(paths.brick_mount, found[0])  # noqa: PTH118 - a path of the node's, not of this root's


def there(paths: Paths) -> list[Path]:
    """The bricks' directories on this node's data disk: one, or none yet."""
    return sorted(paths.at(paths.brick_mount).glob(f"{_PREFIX}*"))


def listed(paths: Paths) -> int:
    """How many entries this node's own brick lists as to be healed.

    GlusterFS's index of them is a directory of the brick, with a link for each entry to one file of its own
    (xlators/features/index). A dispersed volume lists an entry there for as long as it is written, too.
    """
    first = _index(paths)
    if first:
        time.sleep(LISTED_SECONDS)
        first &= _index(paths)
    return len(first)


def _index(paths: Paths) -> set[str]:
    found = set[str]()
    for place in [index for each in there(paths) for index in each.glob(".glusterfs/indices/xattrop")]:
        found.update(name for name in os.listdir(place) if not name.startswith("xattrop-"))  # noqa: PTH208 - names alone
    return found
