#!/bin/bash
# The baseline: three booted machines to a replicated volume at /data on each, by hand, from the administrator's own
# computer over SSH; without TLS. $1 is a file of settings for ssh that knows the machines by name, the others are
# the machines as <name>=<private address>. Each has its data disk as /dev/disk/by-id/virtio-<name>-data.
set -euo pipefail
config=$1
shift
names=() addresses=()
for node in "$@"; do
    names+=("${node%%=*}")
    addresses+=("${node#*=}")
done

on() {
    ssh -F "$config" "$1" bash -euo pipefail -s
}

for name in "${names[@]}"; do
    on "$name" <<EOF
device=/dev/disk/by-id/virtio-$name-data
test -z "\$(wipefs -n \$device)"
mkfs.xfs -q -i size=512 \$device
mkdir -p /brick
echo "UUID=\$(blkid -s UUID -o value \$device) /brick xfs noatime 0 2" >>/etc/fstab
systemctl daemon-reload
mount /brick
mkdir /brick/data
systemctl enable --quiet --now glusterd
EOF
done

on "${names[0]}" <<EOF
for address in ${addresses[@]:1}; do
    gluster peer probe \$address
done
for attempt in {1..120}; do
    connected=\$(gluster peer status | grep -c 'Peer in Cluster (Connected)' || true)
    test \$connected = $((${#names[@]} - 1)) && break
    sleep 0.5
done
gluster --mode=script volume create data replica ${#names[@]} ${addresses[@]/%/:/brick/data}
gluster volume set data network.ping-timeout 8
gluster volume set data cluster.quorum-type auto
gluster volume set data features.cache-invalidation on
gluster volume set data performance.md-cache-timeout 600
gluster volume set data cluster.heal-timeout 10
gluster volume start data
EOF

for number in "${!names[@]}"; do
    others=$(printf '%s\n' "${addresses[@]}" | grep -vx "${addresses[number]}" | paste -sd:)
    on "${names[number]}" <<EOF
mkdir -p /data
options=defaults,_netdev,x-systemd.requires=glusterd.service,backup-volfile-servers=$others
echo "${addresses[number]}:/data /data glusterfs \$options 0 0" >>/etc/fstab
systemctl daemon-reload
mount /data
EOF
done
