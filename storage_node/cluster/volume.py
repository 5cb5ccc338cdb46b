"""The `volume` step: from members that run glusterd to one volume over all of them, whole and healed.

It may run on any member. glusterd is asked for the truth each time, and what is missing is done: the volume made,
options set, bricks added for new members, the brick of a member that came back with a blank disk replaced.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from storage_node.cluster import fresh, gluster, glusterd, graph, healing, options
from storage_node.cluster.gluster import Brick, Volume
from storage_node.cluster.membership import REDUNDANCY, Cluster, Member
from storage_node.cluster.options import VOLUME
from storage_node.errors import AwayError, NodeError
from storage_node.paths import Paths
from storage_node.waiting import steadily, until

# A member that was just configured may still boot its services; on a busy computer that takes minutes.
PEERS_SECONDS = 300.0
BRICKS_SECONDS = 300.0
# An NFS server that has to be started anew for it, on a member that has much to do, takes minutes.
KNOWN_SECONDS = 900.0


def apply(paths: Paths, cluster: Cluster, bricks: Mapping[str, str]) -> dict[str, Any]:
    """Brings the volume to the specification and says what was done; ``bricks`` are the members' brick directories."""
    return steadily(partial(_apply, paths, cluster, bricks))


def _apply(paths: Paths, cluster: Cluster, bricks: Mapping[str, str]) -> dict[str, Any]:
    _await_peers(cluster)
    wanted = [Brick(member.id, member.address, bricks[member.name]) for member in cluster.members]
    found = gluster.volume(VOLUME)
    present = found or _create(cluster, wanted)
    _refuse_other(cluster, present)
    lost, absent = _unsettled(cluster, present, wanted)
    untold = [brick for brick in fresh.noted(present) if brick in wanted]
    views = _views(cluster, present) if found else [present]
    if fresh.is_open(present) and not untold:
        # By an attempt that ended before its bricks were in the volume.
        _let_heal()
    await_healed = partial(healing.await_healed, partial(healing.look, paths, cluster.layout))
    # A request needs a majority of the bricks. Until those that come are filled, it has to be of those that are whole:
    # the others do not have the directory yet that it is about, or have it as root's. n are one of up to 2 n - 1.
    added = [] if lost or untold else absent[: len(present.bricks) - 1]
    later = absent[len(added) :]
    wanted = [brick for brick in wanted if brick not in later]
    if added:
        await_healed()
    coming = [*untold, *lost, *added] if cluster.layout == "replicated" else []
    held = bool(untold or added)
    note = fresh.note(coming, held=held) if coming else {}
    # Each of these decides by a part of the volume that those before it leave as it was found.
    _set_options(cluster, views, note)
    _settle_bricks(present, lost, added)
    if lost or untold:
        # Replacing a brick appends to what may connect, on each node differently (tried with 11.1).
        gluster.change("volume", "set", VOLUME, "auth.allow", "*")
    if not present.started:
        gluster.change("volume", "start", VOLUME)
    _await_bricks(wanted)
    if untold:
        fresh.tell(paths, untold)
    if coming:
        _refuse_other_options(cluster, options.wanted(cluster) | note)
        then = "run `pulumi up` again" + (", until then nothing is healed" if held else "")
        until(partial(graph.outdated, wanted), KNOWN_SECONDS, then=then)
        _let_heal()
    if found and cluster.layout == "dispersed":
        # Whatever was replaced now: a step that was killed after its replacement left no note of it.
        fresh.heal_root(paths)
    healed = await_healed() if found else 0
    rest = _apply(paths, cluster, bricks) if later else {"added": [], "healedEntries": 0}
    return {
        "volume": VOLUME,
        "created": found is None,
        "added": [brick.name for brick in added] + rest["added"],
        "replaced": [brick.name for brick in lost],
        "healedEntries": max(healed, rest["healedEntries"]),
    }


def _let_heal() -> None:
    """Takes back the note of which bricks are coming, and that healing is held back for them."""
    gluster.change("volume", "set", VOLUME, *gluster.arguments_of(fresh.note([])))


def _await_peers(cluster: Cluster) -> None:
    """Every member has every other: one that does not would refuse its part of what this node asks of all."""
    until(lambda: _apart(cluster, None), PEERS_SECONDS)
    others = {peer.id for peer in gluster.peers()}
    for member in cluster.members:
        if member.id in others:
            until(partial(_apart, cluster, member), PEERS_SECONDS)


def _apart(cluster: Cluster, viewer: Member | None) -> str | None:
    """Which members ``viewer`` does not have in its pool, in words; None stands for this node."""
    where = "this node" if viewer is None else viewer.name
    try:
        known = {peer.id: peer for peer in gluster.peers(None if viewer is None else viewer.address)}
    except NodeError as error:
        if viewer is None:
            raise
        return f"{where} does not tell which members it has: {error}"
    # A node is not among its own peers.
    away = [_peer_state(member, known) for member in cluster.members if member.id in known]
    unknown = len(cluster.members) - 1 - len(away)
    found = [words for words in away if words]
    if unknown > 0:
        found.append(f"{unknown} of them unknown to it")
    return f"The members are not all in the pool of {where}: {', '.join(found)}" if found else None


def _peer_state(member: Member, known: Mapping[str, gluster.Peer]) -> str | None:
    peer = known[member.id]
    if peer.settled:
        return None
    return f"{member.name} ({member.address}) is {peer.state} ({'Connected' if peer.connected else 'Disconnected'})"


def _create(cluster: Cluster, wanted: list[Brick]) -> Volume:
    """Makes the volume and returns it: not started, and with none of the options yet."""
    count = len(wanted)
    redundancy = REDUNDANCY[count] if cluster.layout == "dispersed" else 0
    shape = ["disperse", str(count), "redundancy", str(redundancy)] if redundancy else ["replica", str(count)]
    line = ("volume", "create", VOLUME, *shape, *(brick.name for brick in wanted))
    try:
        gluster.change(*line)
    except gluster.RefusedError as refusal:
        # An attempt that was interrupted leaves its mark on the bricks and no volume; nobody else knows their names.
        if "already part of a volume" not in str(refusal):
            raise
        gluster.change(*line, "force")
    return Volume(False, cluster.layout, redundancy, tuple(wanted), {})


def _refuse_other(cluster: Cluster, present: Volume) -> None:
    """What the preview refuses too; here for a stack whose state does not know what its machines hold."""
    if present.layout != cluster.layout:
        raise NodeError(
            f"The volume on these nodes is {present.layout}, and {cluster.layout} is asked for; a layout does not "
            "change in place. Set the layout back, or make a new stack and copy the repositories."
        )
    members = {member.id for member in cluster.members}
    gone = [brick.name for brick in present.bricks if brick.member not in members]
    if gone:
        raise NodeError(
            f"The volume has bricks on nodes that the stack no longer names ({', '.join(gone)}); a cluster does not "
            "shrink in place. Set the number of nodes back, or make a new stack and copy the repositories."
        )
    if present.layout == "dispersed" and len(present.bricks) != len(cluster.members):
        raise NodeError(
            f"The dispersed volume has {len(present.bricks)} bricks and {len(cluster.members)} nodes are asked for; "
            "their number does not change in place. Set it back, or make a new stack and copy the repositories."
        )


def _views(cluster: Cluster, present: Volume) -> list[Volume]:
    """The volume as each member knows it. Raises AwayError when one does not answer, or has it over other bricks.

    A member that lost the others learns of what it missed when it has them again, but not if that is before the end of
    the change that it missed.
    """
    with ThreadPoolExecutor() as pool:
        return list(pool.map(partial(_view, present), cluster.members))


def _view(present: Volume, member: Member) -> Volume:
    try:
        found = gluster.volume(VOLUME, member.address)
    except NodeError as error:
        raise AwayError(f"{member.name} does not tell how it knows the volume: {error}") from None
    if found is None or found.bricks != present.bricks:
        raise AwayError(
            f"{member.name} does not know the volume as this node does; if that stays so, "
            f"`systemctl restart {glusterd.SERVICE}` there"
        )
    return found


def _refuse_other_options(cluster: Cluster, wanted: Mapping[str, str]) -> None:
    """Raises AwayError when a member missed the options that were just set; the next attempt sets them again."""
    present = gluster.volume(VOLUME)
    if present is None or any(not wanted.items() <= view.options.items() for view in _views(cluster, present)):
        raise AwayError("A member does not have the volume's options as they were set just now.")


def _set_options(cluster: Cluster, views: Sequence[Volume], note: Mapping[str, str]) -> None:
    """Sets what differs on any member, and the note of which bricks are coming, if any.

    That is said again where it is known: a change that failed leaves the members without the volume's new description,
    and this makes it.
    """
    wanted = options.wanted(cluster)
    changed = {key: value for key, value in wanted.items() if any(view.options.get(key) != value for view in views)}
    default = options.left_alone(cluster)
    changed |= {k: v for k, v in default.items() if any(view.options.get(k, v) != v for view in views)}
    changed |= note
    if changed:
        gluster.change("volume", "set", VOLUME, *gluster.arguments_of(changed))


def _unsettled(cluster: Cluster, present: Volume, wanted: list[Brick]) -> tuple[list[Brick], list[Brick]]:
    """The bricks that have to come in the place of lost ones, and those of new members. Refuses what cannot be done."""
    there = {brick.member: brick for brick in present.bricks}
    lost = [brick for brick in wanted if brick.member in there and there[brick.member].path != brick.path]
    added = [brick for brick in wanted if brick.member not in there]
    if len(lost) > 1:
        names = ", ".join(_name_of(cluster, brick) for brick in lost)
        raise NodeError(
            f"The nodes {names} have blank disks at once. Only one can be filled from the others at a time: bring the "
            "disks of the others back, or restore from another backup."
        )
    for brick in lost:
        _refuse_while_healing(cluster, brick)
    return lost, added


def _settle_bricks(present: Volume, lost: list[Brick], added: list[Brick]) -> None:
    """Adds the bricks of new members and puts fresh ones in the place of lost ones."""
    there = {brick.member: brick for brick in present.bricks}
    for brick in lost:
        _change_bricks("replace-brick", VOLUME, there[brick.member].name, brick.name, "commit", "force")
    if added:
        count = len(there) + len(added)
        _change_bricks("add-brick", VOLUME, "replica", str(count), *(brick.name for brick in added))


def _change_bricks(*words: str) -> None:
    """Changes which bricks there are.

    Raises AwayError when a member could not do its part, which may succeed the next time. What is left then: the
    members that did theirs have the change, and where it was this one that failed, only its glusterd's memory has it.
    """
    try:
        gluster.change("volume", *words)
    except gluster.RefusedError as refusal:
        if not refusal.by_a_member:
            raise
        if "on localhost" in str(refusal):
            glusterd.restart()
        raise AwayError(str(refusal)) from None


def _refuse_while_healing(cluster: Cluster, lost: Brick) -> None:
    """A brick that is not whole cannot be what a fresh one is filled from."""
    for heal in gluster.heals(VOLUME):
        owner = next((member for member in cluster.members if heal.brick.startswith(f"{member.address}:")), None)
        if owner is not None and owner.id != lost.member and heal.pending is None:
            raise NodeError(
                f"{_name_of(cluster, lost)} has a blank disk, and the brick of {owner.name} is away; "
                f"bring {owner.name} back first, then run `pulumi up` again."
            )


def _name_of(cluster: Cluster, brick: Brick) -> str:
    return next(member.name for member in cluster.members if member.id == brick.member)


def _await_bricks(wanted: list[Brick]) -> None:
    """Every brick runs; one whose process died is started once more."""
    deadline = time.monotonic() + 20.0
    forced = False

    def missing() -> str | None:
        nonlocal forced
        running = gluster.running(VOLUME).bricks
        down = [brick.name for brick in wanted if not running.get(brick.name)]
        if down and not forced and time.monotonic() > deadline:
            gluster.change("volume", "start", VOLUME, "force")
            forced = True
        return f"These bricks are not running: {', '.join(down)}" if down else None

    until(missing, BRICKS_SECONDS)
