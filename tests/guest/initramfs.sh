#!/bin/busybox sh
# The guest's first process: finds its disk and hands over to systemd.
export PATH=/bin
busybox mkdir -p /proc /sys /dev /new
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs devtmpfs /dev
for module in virtio_pci virtio_blk ext4; do busybox modprobe $module; done
until busybox test -b /dev/vda; do busybox usleep 10000; done
busybox mount -t ext4 -o noatime /dev/vda /new || exec busybox poweroff -f
busybox mount --move /proc /new/proc
busybox mount --move /sys /new/sys
busybox mount --move /dev /new/dev
exec busybox switch_root /new /lib/systemd/systemd
