"""The volume's options, each with its reason; all of them are set at once."""

from __future__ import annotations

from storage_node.cluster.membership import Cluster

VOLUME = "data"

# How long a brick or client may be silent before it counts as dead. The default of 42 s would be a pause of 42 s for
# every writer; below 5 s a busy machine is taken for a dead one.
SILENCE_SECONDS = 8


def wanted(cluster: Cluster) -> dict[str, str]:
    """What the volume's options have to be."""
    found = {
        # Every connection is encrypted, and both ends have to prove that they are members.
        "client.ssl": "on",
        "server.ssl": "on",
        "auth.ssl-allow": ",".join(member.name for member in cluster.members),
        "network.ping-timeout": str(SILENCE_SECONDS),
        # A brick keeps the locks of a client that died until it knows: as soon as the clients know of a dead brick.
        "server.tcp-user-timeout": str(SILENCE_SECONDS),
        "server.keepalive-time": "3",
        "server.keepalive-interval": "1",
        "server.keepalive-count": "5",
        "client.tcp-user-timeout": str(SILENCE_SECONDS),
        "client.keepalive-time": "3",
        "client.keepalive-interval": "1",
        "client.keepalive-count": "5",
        # Environments' users may pass through the root of the volume, and see nothing of it.
        "storage.owner-uid": "0",
        "storage.owner-gid": "0",
        # What another node wrote is seen at once: caches are told of changes, and keep for long what did not change.
        "features.cache-invalidation": "on",
        "features.cache-invalidation-timeout": "600",
        "performance.cache-invalidation": "on",
        "performance.md-cache-timeout": "600",
        "network.inode-lru-limit": "50000",
        # Nothing else reads a restic pack twice; memory is better spent elsewhere on a small node.
        "performance.quick-read": "off",
        "performance.io-cache": "off",
        # With TLS each connection has a thread that waits for ciphers; more events in flight keep the processors busy.
        "client.event-threads": "2",
        "server.event-threads": "2",
    }
    # A node that was away is healed as soon as it is back, and what failed to heal is tried again soon.
    if cluster.layout == "replicated":
        # A write needs a majority of the copies, so that no two halves of a cut network can both be written to.
        found |= {"cluster.quorum-type": "auto", "cluster.self-heal-daemon": "on", "cluster.heal-timeout": "10"}
    else:
        found |= {
            "disperse.background-heals": "8",
            "cluster.disperse-self-heal-daemon": "on",
            # The least that a dispersed volume takes (11.1).
            "cluster.heal-timeout": "60",
        }
    return found
