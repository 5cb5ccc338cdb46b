"""Clients of the volume of this program's own, by which the bricks of a replicated one are told what another lacks.

GlusterFS keeps on each brick, beside a directory, which of the other bricks still have to be given what is in it
("pending"), and its self-heal daemons go by that. What one has so noted is read from it here, too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage_node import system
from storage_node.cluster import brick, glusterd
from storage_node.cluster.options import VOLUME
from storage_node.paths import Paths

# The client that may tell of an empty brick, and how (libglusterfs: GF_CLIENT_PID_ADD_REPLICA_MOUNT). It may of any
# directory, which is then compared as a whole (afr-inode-write.c).
_CLIENT_PID = -12
_ATTRIBUTE = "trusted.replace-brick"
# What accuses another brick of lacking something, beside an entry: three numbers of four bytes.
_ACCUSED = "trusted.afr."


def clients(paths: Paths) -> dict[str, str]:
    """What the volume's clients call each brick, by the brick's name (``<address>:<directory>``)."""
    lines = glusterd.home(paths, f"vols/{VOLUME}/trusted-{VOLUME}.tcp-fuse.vol").read_text().splitlines()
    found: dict[str, str] = {}
    client, known = "", dict[str, str]()
    for words in map(str.split, lines):
        if words[:1] == ["volume"]:
            client, known = words[1], {}
        elif words[:1] == ["option"] and len(words) == 3:
            known[words[1]] = words[2]
        elif words == ["end-volume"] and "remote-subvolume" in known:
            found[f"{known['remote-host']}:{known['remote-subvolume']}"] = client
    return found


@contextmanager
def volume(paths: Paths, purpose: str, *options: str) -> Iterator[Path]:
    """The volume, mounted for as long as the block lasts by a client of its own, which knows all bricks.

    purpose: one word; no two at a time may have the same.
    """
    place = paths.at(f"/run/storage-node-{purpose}")
    away = ["umount", "--lazy", str(place)]
    # What an attempt that was killed left there.
    system.run(away)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = ["glusterfs", "--volfile-server=localhost", f"--volfile-id={VOLUME}", *options]
    system.must([*line, str(place)], "Mounting the volume for what a brick lacks")
    try:
        yield place
    finally:
        system.run(away)


@contextmanager
def teller(paths: Paths, purpose: str) -> Iterator[Path]:
    """The same by a client that ``tell`` may be done through."""
    with volume(paths, purpose, f"--client-pid={_CLIENT_PID}") as place:
        yield place


def tell(directory: Path, client: str) -> None:
    """Has the bricks know that the one that clients call so may lack anything of a directory; it is there in `teller`.

    Raises OSError.
    """
    os.setxattr(directory, _ATTRIBUTE, client.encode())


def accused(entry: Path, *, follow: bool = True) -> dict[str, bytes]:
    """Of what an entry of a brick accuses others, by the names that clients call them; what is gone, of nothing."""
    found: dict[str, bytes] = {}
    with contextlib.suppress(FileNotFoundError):
        for attribute in os.listxattr(entry, follow_symlinks=follow):
            # "dirty" is no brick: that a change is under way.
            if attribute.startswith(f"{_ACCUSED}{VOLUME}-"):
                found[attribute.removeprefix(_ACCUSED)] = os.getxattr(entry, attribute, follow_symlinks=follow)
    return found


def accused_by(place: Path) -> set[str]:
    """Which bricks lack something that this one has, by the names that clients call them."""
    found = set[str]()
    for identity in brick.index(place):
        handle = brick.handle(place, identity)
        # A symbolic link leads to a directory, or is the entry itself.
        for follow in (True, False):
            found |= {client for client, parts in accused(handle, follow=follow).items() if any(parts)}
    return found
