"""What a member gives to others: an account of the volume, its own brick as it lies there, and ids of what is on it.

A service of systemd's socket activation: a process for each connection, none while nobody asks.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from storage_node import node, services, system
from storage_node.cluster import brick, fresh, glusterd, pending, wire
from storage_node.errors import NodeError
from storage_node.firewall import DONOR_PORT
from storage_node.paths import Paths

SOCKET = "storage-node-donor.socket"
_SERVICE = "storage-node-donor@.service"

_SOCKET_UNIT = f"""\
# Written by storage-node.
[Unit]
Description=Backup storage: where other members ask for what this one's brick has

[Socket]
ListenStream={DONOR_PORT}
Accept=yes
MaxConnections=16

[Install]
WantedBy=multi-user.target
"""

# What serves the environments goes first.
_SERVICE_UNIT = """\
# Written by storage-node.
[Unit]
Description=Backup storage: another member is given what this one's brick has
CollectMode=inactive-or-failed

[Service]
ExecStart=/usr/local/sbin/storage-node donate
Environment=OPENSSL_CONF={openssl}
StandardInput=socket
StandardOutput=journal
StandardError=journal
Nice=10
"""

# With all attributes but what this brick knows against others, and which volume it is of, which glusterd writes. Left
# out: GlusterFS's own directory, which the receiver makes from the attributes, and its bin, which the brick makes.
PACK = (
    *("tar", "--create", "--format=posix", "--numeric-owner", "--one-file-system", "--record-size=1M"),
    *("--acls", "--xattrs", "--xattrs-include=*"),
    *("--xattrs-exclude=trusted.afr.*", "--xattrs-exclude=trusted.glusterfs.volume-id"),
    *("--anchored", "--exclude=./.glusterfs", "--exclude=./.trashcan"),
    *("--warning=no-file-changed", "--warning=no-file-removed", "."),
)
# "some files differ": what was changed or removed meanwhile (tar(1)).
_CHANGED = 1


def unit_files(paths: Paths) -> dict[Path, str]:
    """The service's files."""
    return {
        paths.units / SOCKET: _SOCKET_UNIT,
        paths.units / _SERVICE: _SERVICE_UNIT.format(openssl=glusterd.OPENSSL_FILE),
    }


def configure(paths: Paths) -> bool:
    """Writes the service; returns whether systemd may know an older content of it."""
    files = unit_files(paths)
    changed = services.write_unit(paths, _SERVICE, files[paths.units / _SERVICE])
    return services.install_unit(paths, SOCKET, files[paths.units / SOCKET]) or changed


def run(paths: Paths, plain: socket.socket) -> int:
    """Answers what another member asks by one connection."""
    with wire.accepted(paths, plain) as asking:
        try:
            _answer(paths, asking)
        except (NodeError, OSError) as error:
            asking.say({"refused": str(error)})
            raise
    return 0


def _answer(paths: Paths, asking: wire.Connection) -> None:
    asked = asking.hear()
    found = node.load(paths)
    if found.cluster is None or asking.name not in {member.name for member in found.cluster.others(found.name)}:
        raise NodeError(f"{asking.name!r} is no other member of this cluster.")
    own = found.cluster.member(found.name).address
    match want := asked.get("want"):
        case "account":
            asking.say(account(paths, own))
        case "brick":
            give(_brick(paths, own, pending.clients(paths)), asking)
        case "identity":
            place = _brick(paths, own, pending.clients(paths))
            asking.say({"identity": brick.known_as(place, _path(asked.get("path")))})
        case _:
            raise NodeError(f"{want!r} is nothing that a member gives.")


def _brick(paths: Paths, own: str, bricks: Iterable[str]) -> Path:
    """This member's brick, which has to be the volume's."""
    place = brick.own(paths)
    if f"{own}:{paths.brick_mount}/{place.name}" not in bricks:
        raise NodeError("The volume's brick on this member is not on its disk.")
    return place


def _path(asked: Any) -> str:
    """A path in the volume, relative to it."""
    if not isinstance(asked, str) or Path(asked).is_absolute() or os.pardir in Path(asked).parts:
        raise NodeError(f"{asked!r} is no path in the volume.")
    return asked


def account(paths: Paths, own: str) -> dict[str, Any]:
    """What this member, by its address, knows of the volume.

    bricks: the addresses of the members that have one; none where there is no volume. changing: whether a change of
    which bricks there are is under way. accused: the addresses of those that this brick has something for that they
    lack. doubts: whether it does not know if some change of a name was made. bytes: how much is on it.
    """
    try:
        clients = pending.clients(paths)
    except FileNotFoundError:
        return {"bricks": [], "changing": False, "accused": [], "doubts": False, "bytes": 0}
    place = _brick(paths, own, clients)
    accused = pending.accused_by(place)
    return {
        "bricks": [name.rpartition(":")[0] for name in clients],
        "changing": fresh.is_noted(paths),
        "accused": sorted(name.rpartition(":")[0] for name, client in clients.items() if client in accused),
        "doubts": brick.doubts(paths),
        "bytes": shutil.disk_usage(place).used,
    }


def give(place: Path, asking: wire.Connection) -> None:
    """Sends all that is in the brick, as one archive."""
    with system.streamed(PACK, directory=str(place), read=True) as packing:
        while piece := packing.read(wire.PIECE_BYTES):
            asking.send(piece)
    asking.send(b"")
    asking.say({"whole": packing.status in (0, _CHANGED)})
