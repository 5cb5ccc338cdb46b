#!/bin/sh
# Run by mmdebstrap with the root of the new tree, once all packages and the image's own files are in it.
set -eu
tree="$1"
in_tree() { chroot "$tree" "$@"; }

# Identity is each machine's own: nothing of the kind may be in the image.
: > "$tree/etc/machine-id"
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/var/lib/glusterd/glusterd.info" "$tree/etc/hostname"
rm -f "$tree/var/lib/dbus/machine-id" "$tree/var/lib/systemd/random-seed"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$tree/etc/hosts"

# A role's services are started by the node program, and the rest a storage node needs on no path.
in_tree systemctl --quiet disable nfs-server.service nfs-ganesha.service nfs-ganesha-lock.service glusterd.service nfs-client.target e2scrub_reap.service \
    unattended-upgrades.service e2scrub_all.timer xfs_scrub_all.timer
in_tree systemctl --quiet mask rpcbind.service rpcbind.socket nfs-blkmap.service rpc-statd.service \
    rpc-statd-notify.service glustereventsd.service gluster-ta-volume.service

# What a machine without a console, message bus, TPM or second boot medium has no use for. Each unit and generator is
# a program to start, 0.2 to 0.5 s of an emulated boot. /tmp stays on the disk, which is larger than the memory.
in_tree systemctl --quiet mask sshd-keygen.service systemd-logind.service getty.target getty-static.service \
    getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service systemd-networkd-wait-online.service \
    systemd-networkd-persistent-storage.service systemd-network-generator.service systemd-hwdb-update.service \
    ldconfig.service systemd-journal-catalog-update.service systemd-update-done.service systemd-firstboot.service \
    systemd-hibernate-clear.service systemd-pcrmachine.service systemd-pcrphase.service \
    systemd-pcrphase-sysinit.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service \
    systemd-remount-fs.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    systemd-udev-load-credentials.service modprobe@configfs.service modprobe@fuse.service modprobe@drm.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path tmp.mount run-lock.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
    dev-hugepages.mount dev-mqueue.mount
mkdir -p "$tree/etc/systemd/system-generators"
for name in debug getty gpt-auto hibernate-resume rc-local ssh system-update sysv tpm2; do
    ln -s /dev/null "$tree/etc/systemd/system-generators/systemd-$name-generator"
done

# The clock is the computer's at the start, so keeping it right need not hold up the boot.
sed -e 's/^Before=time-set.target sysinit.target/Before=time-set.target/' -e 's/^After=.*/After=sysinit.target/' \
    -e 's/^WantedBy=.*/WantedBy=multi-user.target/' \
    "$tree/usr/lib/systemd/system/systemd-timesyncd.service" > "$tree/etc/systemd/system/systemd-timesyncd.service"
rm -f "$tree/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service"
in_tree systemctl --quiet enable systemd-networkd.service ssh.service acpid.service systemd-timesyncd.service

# glusterd starts the geo-replication program again and again, and a hook script costs a fork each: out of the way.
gsyncd="$(cd "$tree" && find usr/lib* -name gsyncd -type f | head -n 1)"
in_tree dpkg-divert --quiet --local --rename --divert "/$gsyncd.unused" --add "/$gsyncd"
(cd "$tree" && find var/lib/glusterd/hooks -type f -name 'S*') | while read -r hook; do
    in_tree dpkg-divert --quiet --local --rename \
        --divert "/$(dirname "$hook")/unused-$(basename "$hook")" --add "/$hook"
done

# Each SSH session would run these to greet nobody.
rm -f "$tree"/etc/update-motd.d/* "$tree/etc/motd"

# The kernel's version is the image's: an upgrade would take away the modules of the one that is started.
in_tree apt-mark hold $(in_tree dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 'linux-image-*' | sed -n 's/^ii *//p')

# Unpacking the modules that every node loads takes longer than reading them.
for directory in fs/xfs fs/nfs fs/nfsd fs/lockd fs/nfs_common fs/autofs net/sunrpc net/core net/netfilter \
    drivers/net/virtio_net.ko.xz drivers/net/net_failover.ko.xz drivers/char/hw_random drivers/acpi/button.ko.xz; do
    for found in "$tree"/usr/lib/modules/*/kernel/$directory; do
        [ -e "$found" ] && find "$found" -name '*.ko.xz' -exec unxz {} +
    done
done
in_tree depmod -a "$(ls "$tree/usr/lib/modules")"

# Caches of the build.
rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*.bin "$tree"/var/cache/debconf/*-old
rm -rf "$tree"/var/log/*.log "$tree"/var/log/apt/* "$tree"/usr/lib/udev/hwdb.bin
rm -f "$tree"/boot/initrd.img-* "$tree"/initrd.img* "$tree"/vmlinuz*
