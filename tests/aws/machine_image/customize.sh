#!/bin/sh
# Run by mmdebstrap with the root of the new tree: what Debian does to its image for clouds, as far as it matters here.
set -eu
tree="$1"
: > "$tree/etc/machine-id"
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/etc/hostname" "$tree/var/lib/dbus/machine-id" "$tree/var/lib/systemd/random-seed"
printf '127.0.0.1 localhost\n::1 localhost\n' > "$tree/etc/hosts"
chroot "$tree" systemctl --quiet enable systemd-networkd.service ssh.service acpid.service
chroot "$tree" systemctl --quiet mask systemd-networkd-wait-online.service
rm -f "$tree"/boot/initrd.img-* "$tree"/initrd.img* "$tree"/vmlinuz*
