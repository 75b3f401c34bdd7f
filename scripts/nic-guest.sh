#!/bin/busybox sh
# The first process of the machine in QEMU that scripts/nic boots. /load has the modules in order; what is appended
# here calls exec_test.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
. /load
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /root
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/hugepages /root/dev/shm
mount -t hugetlbfs hugetlbfs /root/dev/hugepages
mount -t tmpfs shm /root/dev/shm
mount -t tmpfs run /root/run
mount -t tmpfs tmp /root/tmp
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys

for device in /sys/bus/pci/devices/*; do
    case $(cat "$device/class") in
        0x0200*)
            echo vfio-pci >"$device/driver_override"
            # The virtio one has been taken with those that carry the files.
            [ ! -e "$device/driver" ] || echo "${device##*/}" >"$device/driver/unbind"
            echo "${device##*/}" >/sys/bus/pci/drivers_probe
            ;;
    esac
done

# exec_test COMMAND...: runs it in this machine's copy of the outer one's files, tells its status, and ends the machine.
exec_test() {
    chroot /root "$@"
    echo "nic: status $?"
    poweroff -f
}
