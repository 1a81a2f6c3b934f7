#!/bin/bash
# The first process of the guest. Its root is the host's, read-only; CTL is a folder of the host that both can write.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
mountpoint -q /proc || mount -t proc proc /proc
for word in $(cat /proc/cmdline); do case $word in AEGIS_CTL=*) ctl=${word#*=} ;; esac; done
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
for folder in /run /mnt; do mount -t tmpfs tmpfs "$folder"; done
mkdir /mnt/nfs /mnt/ctl
mount -t hostfs none /mnt/ctl -o "$ctl"
exec >/mnt/ctl/output 2>&1 </dev/null

end() {
  echo "$1" >/mnt/ctl/status.early
  mv /mnt/ctl/status.early /mnt/ctl/status
  sync
  busybox poweroff -f
  sleep 60
}

# What the suites bring is under the host's /tmp, which is about to be covered.
mkdir /mnt/host && mount --bind "$ctl" /mnt/host
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp
for module in net/sunrpc/sunrpc fs/nfs_common/grace fs/lockd/lockd fs/netfs/netfs fs/fscache/fscache \
  fs/nfs_common/nfs_acl fs/nfs/nfs fs/nfs/nfsv3; do
  file=/usr/lib/uml/modules/$(uname -r)/kernel/$module.ko
  [ ! -e "$file" ] || busybox insmod "$file" || end 125
done
. /mnt/ctl/settings
ip link set lo up
ip addr add "$GUEST/24" dev vec0
ip link set vec0 up

# nfs_mount EXPORT FOLDER: as Docker's volume driver does it, with mount(2) alone.
nfs_mount() {
  mkdir -p "$2"
  busybox mount -t nfs -o "${OPTIONS//@ADDRESS@/$HOST}" "$HOST:$1" "$2"
}

nfs_mount "$EXPORT" /mnt/nfs || { dmesg | tail -n 5; end 32; }
export MNT=/mnt/nfs CTL=/mnt/ctl HOST
cd /mnt/nfs
bash /mnt/ctl/suite
status=$?
cd /
umount -f /mnt/nfs
end $status
