#!/bin/sh
# Run by mmdebstrap with the root of the empty tree, before any package is chosen.
set -eu
tree="$1"

# Debian 13's nfs-ganesha 6.5 crashes on each removal of a file on GlusterFS; the backport does not. Nothing else is
# taken from there: a backport of something else could part the nodes' versions from the release's.
sed -n 's/^\(deb .*\) [a-z]* main$/\1 trixie-backports main/p' "$tree/etc/apt/sources.list" | head -n 1 \
    > "$tree/etc/apt/sources.list.d/backports.list"
mkdir -p "$tree/etc/apt/preferences.d"
printf 'Package: nfs-ganesha* libganesha* libntirpc*\nPin: release n=trixie-backports\nPin-Priority: 600\n' \
    > "$tree/etc/apt/preferences.d/nfs-ganesha"
