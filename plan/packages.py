"""The Debian 13 packages that a storage node is made of, the same on every platform.

A platform that bakes an image installs them there; one that starts from a stock image installs them at first boot.
Versions come from Debian's stable release and its security archive, so restic is pinned by the release (0.18).
"""

NODE_PACKAGES: tuple[str, ...] = (
    "acl",
    "attr",
    "ca-certificates",
    "e2fsprogs",
    "glusterfs-client",
    "glusterfs-server",
    "iproute2",
    "iputils-ping",
    "nfs-common",
    "nfs-ganesha-gluster",
    "nfs-kernel-server",
    "nftables",
    "openssh-server",
    "python3",
    "restic",
    "sudo",
    "systemd-timesyncd",
    "unattended-upgrades",
    "util-linux",
    "xfsprogs",
    "zstd",
)
