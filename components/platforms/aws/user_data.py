"""What an instance is told for its first boot, as cloud-init reads it.

It brings what the local platform's image has baked in. Whoever may read an instance's description can read it, and so
can every program on the instance, so there is no lasting secret in it: see ``first_contact``.
"""

import yaml

from plan.packages import NODE_PACKAGES

#: EC2 takes no more (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html).
LIMIT_BYTES = 16384

BOOTSTRAP_KEY = "/etc/ssh/bootstrap_host_key"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

#: What a storage node has on no path, kept from starting before it is installed.
MASKED = (
    "rpcbind.service",
    "rpcbind.socket",
    "nfs-blkmap.service",
    "rpc-statd.service",
    "rpc-statd-notify.service",
    "glustereventsd.service",
    "gluster-ta-volume.service",
)

#: Services of a role: the node program starts them where they are wanted.
STOPPED = (
    "nfs-server.service",
    "nfs-ganesha.service",
    "nfs-ganesha-lock.service",
    "glusterd.service",
    "nfs-client.target",
)

_SSHD = f"""\
# The first key is the node's own, made here; the second is for the first contact alone.
HostKey {HOST_KEY}
HostKey {BOOTSTRAP_KEY}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""

_JOURNAL = """\
[Journal]
Storage=persistent
SystemMaxUse=64M
"""

# glusterd starts the geo-replication program again and again, and a hook script costs a fork each: out of the way.
_DIVERT = """\
for found in $(find /usr/lib /usr/libexec -name gsyncd -type f 2>/dev/null) \
$(find /var/lib/glusterd/hooks -type f -name 'S*' 2>/dev/null); do
  dpkg-divert --quiet --local --rename --divert "$(dirname "$found")/unused-$(basename "$found")" --add "$found"
done
"""


# The release's own ganesha crashes on each `rm`; the one of backports does not.
_PIN = """\
Package: nfs-ganesha* libganesha* libntirpc*
Pin: release n=trixie-backports
Pin-Priority: 600
"""


def render(bootstrap_key: str) -> str:
    """The user-data, with the private SSH host key of the first contact in OpenSSH's form."""
    content = {
        "disable_root": False,
        "users": [],
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_genkeytypes": ["ed25519"],
        "write_files": [
            {"path": BOOTSTRAP_KEY, "permissions": "0600", "content": bootstrap_key},
            {"path": "/etc/ssh/sshd_config.d/10-node.conf", "content": _SSHD},
            {"path": "/etc/systemd/journald.conf.d/node.conf", "content": _JOURNAL},
            {"path": "/etc/apt/preferences.d/ganesha", "content": _PIN},
        ],
        "bootcmd": [["cloud-init-per", "once", "mask-units", "systemctl", "mask", *MASKED]],
        "apt": {
            "conf": 'APT::Install-Recommends "false";\n',
            "sources": {"backports.list": {"source": "deb $MIRROR trixie-backports main"}},
        },
        "package_update": True,
        "packages": list(NODE_PACKAGES),
        "runcmd": [["systemctl", "disable", "--now", *STOPPED], ["sh", "-c", _DIVERT]],
    }
    return "#cloud-config\n" + yaml.safe_dump(content, sort_keys=False)
