"""The volume's options, each with its reason; all of them are set at once.

Only what differs from GlusterFS's own choice is among them: each takes the members up to a second to look at.
"""

from __future__ import annotations

from storage_node.cluster.membership import Cluster

VOLUME = "data"

# How long what was sent to a machine may go unacknowledged by its kernel before it counts as dead.
SILENCE_SECONDS = 8
# How long a brick may take to answer, which is for one that hangs on a machine that lives. The default is 42 s. With 8,
# seven members that had more to do than their processors could, after three of them had come back, took each other's
# bricks for dead over and over, and the handshakes that followed kept it so.
ANSWER_SECONDS = 20


def wanted(cluster: Cluster) -> dict[str, str]:
    """What the volume's options have to be."""
    found = {
        # Every connection is encrypted, and both ends have to prove that they are members.
        "client.ssl": "on",
        "server.ssl": "on",
        "auth.ssl-allow": ",".join(member.name for member in cluster.members),
        "network.ping-timeout": str(ANSWER_SECONDS),
        # A brick keeps the locks of a client that died until it knows: as soon as the clients know of a dead brick. It
        # asks late: three clients of each member are connected to each brick, idle for long. It asks again after the
        # default of 2 s, and the kernel takes one for dead that was silent for so long (tcp(7), TCP_USER_TIMEOUT).
        "server.tcp-user-timeout": str(SILENCE_SECONDS),
        "server.keepalive-time": str(SILENCE_SECONDS - 2),
        "client.tcp-user-timeout": str(SILENCE_SECONDS),
        # What another node wrote is seen at once: the NFS servers are told of changes.
        "features.cache-invalidation": "on",
        "features.cache-invalidation-timeout": "600",
        # GlusterFS's own cache of who owns a file, and may read it, believes any brick that tells of a change: a fresh
        # one, too, which at first has every file as root's. Seen while one was filled: "Permission denied".
        "performance.stat-prefetch": "off",
        # By default a write is answered before the bricks have it, and one that then fails is told to whoever closes or
        # syncs the file next: to the NFS server itself, when it closes what is idle (ganesha.py), and to nobody else.
        "performance.write-behind": "off",
        # Nothing else reads a restic pack twice; memory is better spent elsewhere on a small node.
        "performance.quick-read": "off",
    }
    # A node that was away is healed as soon as it is back, and what failed to heal is tried again soon.
    if cluster.layout == "replicated":
        found |= {
            # A write needs a majority of the copies, so that no two halves of a cut network can both be written to.
            "cluster.quorum-type": "auto",
            "cluster.heal-timeout": "10",
            # Times are those of each brick's file system. By default GlusterFS keeps its own beside each file, and
            # stores them once more with each write. Where a heal finds no copy of a directory right, and merges them,
            # it sets its times to what happens to lie on its stack (11.1, afr-self-heal-entry.c: the times of source
            # -1); and a directory whose change time is 0 is nobody's but root's (posix-acl.c). Seen: "permission
            # denied" for a repository's directory, for good.
            "features.ctime": "off",
            # By default a name that bricks know by different ids is refused for good. Such a one comes about when a
            # client asks a second server for what the first one, before it died, had made on most bricks (twice.py).
            "cluster.favorite-child-policy": "majority",
            # What a copy lacks of a repository is whole files, so there is nothing to compare (the default); and each
            # block is a lock, a read and a write that wait for the network: 4 MiB at a time instead of 1.
            "cluster.data-self-heal-algorithm": "full",
            "cluster.self-heal-window-size": "32",
        }
    else:
        found |= {
            # A file's size is written beside its data, by default up to a second after a write was acknowledged, a
            # synchronous one too: a server that dies meanwhile leaves a file of 0 bytes that its client believes in.
            "disperse.eager-lock": "off",
            # Changes of names are noted beforehand. By default there is "a very small window to miss marking entry as
            # dirty in case it is required to be healed" (ec.c): the death of who makes one. A name that is on fewer
            # bricks than hold its data is removed, so none comes back; a replicated volume would keep it (recent.py).
            "disperse.optimistic-change-log": "off",
            # The self-heal daemon heals. By default each client does, too, whatever it looks at, eight at a time: with
            # two clients on each of seven members they keep each other waiting, and the backups.
            "disperse.background-heals": "0",
            # The least that a dispersed volume takes (11.1).
            "cluster.heal-timeout": "60",
        }
    return found


def left_alone(cluster: Cluster) -> dict[str, str]:
    """GlusterFS's own values of options that a cluster may have otherwise from an earlier version of this program."""
    # Off, names that were removed while a member was away come back with it (recent.py).
    return {"cluster.optimistic-change-log": "on"} if cluster.layout == "replicated" else {}
