"""The cluster as this node sees it: members, bricks, quorum and what is left to heal; and in sentences what is wrong.

Asked of any node, also while others are away: glusterd on each knows all members and bricks.
"""

from __future__ import annotations

from typing import Any

from storage_node.cluster import fresh, ganesha, gluster, healing, peers, watch
from storage_node.cluster.membership import Cluster, Member
from storage_node.cluster.options import VOLUME, wanted
from storage_node.errors import NodeError
from storage_node.floating import service as floating
from storage_node.paths import Paths


def collect(paths: Paths, name: str, cluster: Cluster, problems: list[str], *, sparing: bool = False) -> dict[str, Any]:
    """The cluster's part of the status object.

    sparing: look at what all members have to be asked for on one of them only, the first that is there; on the others
    at this node's own part. ``seenBy`` tells whose look it falls to.
    """
    found: dict[str, Any] = {
        "volume": VOLUME,
        "layout": cluster.layout,
        "seenBy": name,
        "nodes": [],
        "bricks": [],
        "quorum": False,
        "pendingHeals": None,
        "splitBrain": None,
    }
    if cluster.floating_address is not None:
        found["floatingAddress"] = {"address": cluster.floating_address, "holder": floating.holder(paths, cluster)}
        if found["floatingAddress"]["holder"] is None:
            problems.append(f"No node holds the floating address {cluster.floating_address} now.")
        if not floating.is_current(paths, cluster):
            problems.append(
                f"The keeper of the floating address does not run with all members of the cluster; run `pulumi up`, "
                f"or see `systemctl status {floating.SERVICE}` on this node."
            )
    try:
        found["nodes"] = _nodes(name, cluster, problems)
        volume = _volume()
        _server(name, cluster, found["nodes"], problems)
        if sparing and (first := speaker(found)) not in {name, None}:
            found["seenBy"] = first
            problems.extend(f"The {process} of {name} does not run." for process in watch.dead(paths))
            _options(cluster, volume, problems)
            return found
        own = next((brick.name for brick in volume.bricks if brick.member == cluster.member(name).id), "")
        heals = _heals(paths, cluster, own, problems)
        found["bricks"] = _bricks(cluster, volume, heals, problems)
        _options(cluster, volume, problems)
    except NodeError as error:
        problems.append(str(error))
        return found
    running = sum(brick["online"] for brick in found["bricks"])
    found["quorum"] = running >= cluster.majority
    if not found["quorum"]:
        problems.append(f"Only {running} of {len(cluster.members)} bricks run: /data takes no writes until more do.")
    known = [brick["pendingHeals"] for brick in found["bricks"] if brick["pendingHeals"] is not None]
    found["pendingHeals"] = sum(known) if known else None
    torn = [brick["splitBrain"] for brick in found["bricks"] if brick["splitBrain"] is not None]
    found["splitBrain"] = sum(torn) if torn else None
    if found["pendingHeals"]:
        problems.append(f"{found['pendingHeals']} entries are still being healed; lose or replace no node meanwhile.")
    if found["splitBrain"]:
        problems.append(f"{found['splitBrain']} entries are in split brain; see docs/operations.md.")
    return found


def speaker(found: dict[str, Any]) -> str | None:
    """The first member that is there, as a node sees it; None where it sees none, not even itself."""
    return next((node["name"] for node in found["nodes"] if node["connected"]), None)


def _nodes(name: str, cluster: Cluster, problems: list[str]) -> list[dict[str, Any]]:
    peers = {peer.id: peer for peer in gluster.peers()}
    found = []
    for member in cluster.members:
        peer = peers.get(member.id)
        there = member.name == name or (peer is not None and peer.settled)
        state = "this node" if member.name == name else f"{peer.state}" if peer else "unknown"
        found.append({"name": member.name, "address": member.address, "connected": there, "state": state})
        if not there:
            problems.append(f"{member.name} ({member.address}) is not connected to this node ({state}).")
    return found


def _server(name: str, cluster: Cluster, nodes: list[dict[str, Any]], problems: list[str]) -> None:
    """What this node's NFS server cannot reach it counts as lost: it serves only with a majority of its own."""
    there = {node["name"] for node in nodes if node["connected"]}
    for other in peers.apart(ganesha.PROCESS, cluster):
        if other in there:
            problems.append(f"The NFS server of {name} is not connected to the brick of {other}.")


def _volume() -> gluster.Volume:
    volume = gluster.volume(VOLUME)
    if volume is None or not volume.started:
        raise NodeError(f"The volume {VOLUME} is {'not made' if volume is None else 'not started'}; run `pulumi up`.")
    return volume


def _bricks(
    cluster: Cluster, volume: gluster.Volume, heals: dict[str, gluster.Heal], problems: list[str]
) -> list[dict[str, Any]]:
    owners: dict[str, Member] = {member.id: member for member in cluster.members}
    running = gluster.running(VOLUME)
    found = []
    for brick in volume.bricks:
        owner, heal = owners.get(brick.member), heals.get(brick.name)
        up = running.bricks.get(brick.name, False)
        found.append(
            {
                "node": owner.name if owner else brick.address,
                "path": brick.path,
                "online": up,
                "pendingHeals": heal.pending if heal else None,
                "splitBrain": heal.split_brain if heal else None,
            }
        )
        if not up:
            problems.append(f"The brick of {owner.name if owner else brick.address} does not run.")
    for member in cluster.members:
        if not any(brick.member == member.id for brick in volume.bricks):
            problems.append(f"{member.name} has no brick in the volume; run `pulumi up`.")
    problems.extend(_healers(cluster, running))
    return found


def _healers(cluster: Cluster, running: gluster.Running) -> list[str]:
    if cluster.layout == "dispersed":
        # Whichever it is, it heals what any brick lists.
        return [] if any(running.healers.values()) else ["No self-heal daemon of the volume runs."]
    stopped = [member.name for member in cluster.members if running.healers.get(member.id) is False]
    return [f"The self-heal daemon of {name} does not run." for name in stopped]


def _heals(paths: Paths, cluster: Cluster, own: str, problems: list[str]) -> dict[str, gluster.Heal]:
    """What is known of healing, by brick: on a node that is cut off, or without a majority, that may be nothing."""
    try:
        return {heal.brick: heal for heal in healing.look(paths, cluster.layout, own)}
    except NodeError as error:
        problems.append(f"What is left to be healed cannot be told: {error}")
        return {}


def _options(cluster: Cluster, volume: gluster.Volume, problems: list[str]) -> None:
    for key, value in sorted(wanted(cluster).items()):
        if (known := volume.options.get(key)) != value:
            problems.append(f"The volume's option {key} is {known}, not {value}.")
    if coming := fresh.noted(volume):
        names = ", ".join(brick.name for brick in coming)
        unhealed = ", and nothing is healed until they are" if fresh.is_held(volume) else ""
        words = f"The bricks {names} were not brought in to the end{unhealed}"
        problems.append(f"{words}; run `pulumi up`, unless one is under way.")
