#!/bin/busybox sh
# The first process of the machine that scripts/nic boots in QEMU. /load loads the modules in order. scripts/nic appends
# the calls of the functions below.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
. /load
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /root
mount -t devtmpfs dev /dev
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
            # The virtio driver has already taken the virtio-net card, together with the device that carries the files.
            [ ! -e "$device/driver" ] || echo "${device##*/}" >"$device/driver/unbind"
            echo "${device##*/}" >/sys/bus/pci/drivers_probe
            ;;
    esac
done

STATUS=0

# run COMMAND...: runs it on the host's files, which are mounted read-only at /root.
run() {
    chroot /root "$@" || STATUS=$?
}

# ask_director DIRECTORD DIRECTORCTL PATIENCE: starts directord with /run/director.toml, waits until it has seen enough
# frames on each port, and prints what `directorctl status` reports about them.
ask_director() {
    local left=$(($3 / 2 + 1)) director
    chroot /root "$1" --config /run/director.toml >/root/run/log 2>&1 &
    director=$!
    while sleep 2 && [ $((left -= 1)) -ge 0 ]; do
        chroot /root "$2" status >/root/run/status 2>&1 || continue
        grep -q 'not verified yet' /root/run/status || break
    done
    cat /root/run/log /root/run/status
    sed -n '/^steering/,/^$/s/^  /directorctl: /p' /root/run/status
    kill $director
    wait $director || STATUS=$?
}

# finish: prints the status and switches the machine off.
finish() {
    echo "nic: status $STATUS"
    poweroff -f
}
