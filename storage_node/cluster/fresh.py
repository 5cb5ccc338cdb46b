"""Bricks that come new into a volume: the others have to know what those lack before anybody asks what is left to heal.

Those of a replicated volume are noted in it before, and told of where that came to nothing. While added ones are noted
nothing is healed, so that nothing is on them but what all clients know to be there: what a client writes that does not
know them yet would be missing on a brick that counts as filled.

A fresh brick is empty, and the others have to know that, or it is taken for whole: nothing fills it, and who reads from
it finds no backups. glusterd tells them within the change itself, by a client that it starts on the brick's own node
and gives ten seconds to reach a majority (11.1). Seen among seven emulated members: that was not enough, the change was
refused with "Commit failed", and the volume had the brick all the same. So whatever becomes of a change, the next
attempt knows from the note which bricks it was about, and tells the others as glusterd does; once more does no harm.

Nobody is told of a dispersed volume's. Its self-heal daemon finds the root missing on a brick, some time after that
came, and what it makes there is listed from then on as to be healed; until then nothing is, and all seems well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from storage_node.cluster import glusterd, pending
from storage_node.cluster.gluster import Brick, Volume
from storage_node.cluster.options import VOLUME
from storage_node.errors import AwayError
from storage_node.paths import Paths
from storage_node.waiting import until

# The volume's option that holds the names; GlusterFS leaves those under "user." to its users.
_NOTE = "user.storage-node-fresh"
_NOBODY = "none"
_HEALER = "cluster.self-heal-daemon"
# A client of its own dials every brick, twice, with a handshake each.
TELL_SECONDS = 300.0
_PURPOSE = "fresh"
# By it a client of a dispersed volume heals what it is asked of, and says on which bricks it was whole before
# ("Good: 110, Bad: 000"; ec_getxattr_heal_cbk).
_HEAL = "trusted.ec.heal"


def note(bricks: Sequence[Brick], *, held: bool = True) -> dict[str, str]:
    """The options that say which bricks a change is about; of none, that it came to its end.

    ``held``: whether healing is held back. It need not be for bricks in the place of lost ones alone: to a client that
    does not know such a one yet the lost one is out of reach, so it marks what it changes as lacking in that place.
    """
    names = ",".join(brick.name for brick in bricks)
    return {_NOTE: names or _NOBODY, _HEALER: "off" if names and held else "on"}


def noted(volume: Volume) -> list[Brick]:
    """The bricks of the volume that a change was about whose end is not known."""
    names = volume.options.get(_NOTE, _NOBODY).split(",")
    return [brick for brick in volume.bricks if brick.name in names]


def is_open(volume: Volume) -> bool:
    """Whether there was a change whose end is not known, be its bricks in the volume or not."""
    return _names_any(volume.options)


def is_held(volume: Volume) -> bool:
    """Whether healing is held back."""
    return volume.options.get(_HEALER) == "off"


def is_noted(paths: Paths) -> bool:
    """Whether a change is under way, by this node's copy of the volume's description; glusterd is not asked."""
    try:
        lines = glusterd.home(paths, f"vols/{VOLUME}/info").read_text().splitlines()
    except FileNotFoundError:
        return False
    return _names_any(dict(line.partition("=")[::2] for line in lines))


def _names_any(options: Mapping[str, str]) -> bool:
    """Whether the note among these options is about any brick."""
    return options.get(_NOTE, _NOBODY) != _NOBODY


def tell(paths: Paths, bricks: Sequence[Brick]) -> None:
    """Has the other bricks know that these lack everything, so that they are filled.

    Raises AwayError when glusterd has not taken them up into the volume's description yet.
    """
    clients = pending.clients(paths)
    with pending.teller(paths, _PURPOSE) as place:
        for brick in bricks:
            if brick.name not in clients:
                raise AwayError(f"The volume's description on this node does not have the brick {brick.name} yet.")
            until(partial(_untold, place, brick, clients[brick.name]), TELL_SECONDS)


def heal_root(paths: Paths) -> None:
    """Has the root of a dispersed volume be whole on all bricks; what else one of them lacks is listed from then on."""
    with pending.volume(paths, _PURPOSE) as place:
        until(partial(_incomplete, place), TELL_SECONDS)


def _incomplete(place: Path) -> str | None:
    try:
        said = os.getxattr(place, _HEAL).decode()
    except OSError as error:
        return f"The volume's root cannot be healed yet: {error.strerror}"
    return f"The volume's root is not whole on all bricks yet ({said})" if "0" in said.partition(",")[0] else None


def _untold(place: Path, brick: Brick, client: str) -> str | None:
    try:
        pending.tell(place, client)
    except OSError as error:
        return f"The others cannot be told yet that {brick.name} is empty: {error.strerror}"
    return None
