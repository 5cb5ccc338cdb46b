"""The volume mounted at the shared directory, by a service of its own that comes back whatever happens to it."""

from __future__ import annotations

from pathlib import Path

from storage_node import atomic, mount, services
from storage_node.cluster.membership import Cluster
from storage_node.cluster.options import VOLUME
from storage_node.paths import Paths
from storage_node.waiting import until

SERVICE = "storage-node-data.service"
# A first attempt on a busy computer may come to nothing, and the next takes as long again.
MOUNT_SECONDS = 600.0
KIND = "fuse.glusterfs"

# glusterfs itself instead of its mount script, which takes seconds. It leaves the foreground when /data is mounted,
# even where that does not answer yet: a dispersed volume waits 10 s for enough bricks. It finds the others by itself,
# so that is waited for: ended and started anew, members with much to do never got there, and kept each other busy with
# handshakes. It ends when no member gives it the volume's description, or a brick does not know the member yet, and is
# started again. The NFS server needs the volume, and systemd gives up whatever waits for a start that fails, as it may
# when nodes have lost their power together: so whenever the volume is there, the server is started.
_UNIT = """\
# Written by storage-node.
[Unit]
Description=Backup storage: the volume at {where}
After=glusterd.service network.target
Wants=glusterd.service
Upholds=nfs-ganesha.service
StartLimitIntervalSec=0

[Service]
Type=forking
ExecStartPre=-/usr/bin/umount --lazy {where}
ExecStart=/usr/sbin/glusterfs --process-name fuse {servers} --volfile-id={volume} {where}
ExecStartPost=/bin/sh -c 'until mountpoint --quiet {where}; do kill -0 $$MAINPID || exit 1; sleep 1; done'
ExecStopPost=-/usr/bin/umount --lazy {where}
Restart=always
RestartSec=2
TimeoutStartSec=900

[Install]
WantedBy=multi-user.target
"""

# glusterd runs what lies there when it has started the volume. So a fresh volume is mounted on all members at once, and
# not when each is told to serve it.
_HOOK_FILE = "/var/lib/glusterd/hooks/1/start/post/S10storage-node.sh"
_HOOK = f"""\
#!/bin/sh
# Written by storage-node.
exec systemctl start --no-block {SERVICE}
"""


def files(paths: Paths, name: str, cluster: Cluster) -> dict[Path, str]:
    """The service, and what starts it; this node's own glusterd is asked first for the volume, then the others."""
    order = [cluster.member(name), *cluster.others(name)]
    servers = " ".join(f"--volfile-server={member.address}" for member in order)
    return {
        paths.units / SERVICE: _UNIT.format(where=paths.data_path, servers=servers, volume=VOLUME),
        paths.at(_HOOK_FILE): _HOOK,
    }


def configure(paths: Paths, name: str, cluster: Cluster) -> bool:
    """Writes the service; returns whether one that systemd may know changed."""
    ours = files(paths, name, cluster)
    hook = paths.at(_HOOK_FILE)
    atomic.write(hook, ours[hook], 0o755)
    return services.install_unit(paths, SERVICE, ours[paths.units / SERVICE])


def await_mounted(paths: Paths) -> None:
    """Waits until the volume is at the shared directory, and answers."""

    def missing() -> str | None:
        there = mount.mounted_at(paths.data)
        if there is None or there.kind != KIND:
            return f"The volume is not mounted at {paths.data_path} yet; see `systemctl status {SERVICE}` on this node"
        try:
            paths.data.stat()
        except OSError as error:
            return f"The volume at {paths.data_path} does not answer yet: {error.strerror}"
        return None

    until(missing, MOUNT_SECONDS, 0.2)
