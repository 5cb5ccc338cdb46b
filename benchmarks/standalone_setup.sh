#!/bin/bash
# The baseline: what a storage node needs, by hand, as one shell script over one SSH session. The same result as the
# node program's: an XFS data disk at /data, a firewall, NFSv4 exports for two environments and their repositories.
# Reads two passwords, one a line, on stdin. $1 is the data disk.
set -euo pipefail
device=$1
read -r shop
read -r blog

test -z "$(wipefs -n "$device")"
mkfs.xfs -q -L data "$device"
mkdir -p /data
uuid=$(blkid -s UUID -o value "$device")
echo "UUID=$uuid /data xfs noatime,nodev,nosuid,noexec 0 2" >>/etc/fstab
systemctl daemon-reload
mount /data
chmod 711 /data

cat >/etc/nftables.conf <<'EOF'
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iif lo accept
        meta l4proto { icmp, ipv6-icmp } accept
        ip saddr 10.0.2.2 tcp dport 22 accept
        ip saddr { 10.77.0.101, 10.77.0.102 } tcp dport 2049 accept
    }
}
EOF
systemctl enable --now nftables
systemctl enable --now systemd-timesyncd
cat >/etc/apt/apt.conf.d/20auto-upgrades <<'EOF'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
EOF
systemctl enable --now apt-daily.timer apt-daily-upgrade.timer

mkdir -p /etc/nfs.conf.d /root/passwords
printf '[nfsd]\nvers3=n\nvers4.0=n\n' >/etc/nfs.conf.d/storage.conf
chmod 700 /root/passwords
uid=200000
for name in shop blog; do
    (umask 077 && printf '%s\n' "${!name}" >"/root/passwords/$name")
    restic init --quiet --repo "/data/$name" --password-file "/root/passwords/$name"
    chown -R "$uid:$uid" "/data/$name"
    chmod 700 "/data/$name"
    case $name in shop) client=10.77.0.101 ;; blog) client=10.77.0.102 ;; esac
    echo "/data/$name $client(rw,sync,all_squash,anonuid=$uid,anongid=$uid,fsid=$uid,no_subtree_check)" >>/etc/exports
    uid=$((uid + 1))
done
systemctl enable --now nfs-server
exportfs -ra
exported=$(exportfs -s | wc -l)
test "$exported" = 2
for name in shop blog; do
    restic cat config --quiet --repo "/data/$name" --password-file "/root/passwords/$name" >/dev/null
done
