#!/usr/bin/env bash
# scripts/host-setup on the files of an invented machine: it has two network cards, and one of them has the default route.
source "$(dirname "$0")/../lib.sh"

TREE=$(mktemp -d)
at_exit "rm -rf $TREE"
PCI=$TREE/sys/bus/pci/devices
mkdir -p "$PCI" "$TREE/sys/class/net" "$TREE/sys/kernel/mm/hugepages/hugepages-2048kB" "$TREE/sys/kernel/iommu_groups/7" \
    "$TREE/sys/devices/system/cpu" "$TREE/proc/sys/vm" "$TREE/bin"
echo 0 >"$TREE/proc/sys/vm/nr_hugepages"
echo 0-7 >"$TREE/sys/devices/system/cpu/online"

# card ADDRESS INTERFACE DRIVER
card() {
    local folder=$PCI/$1
    mkdir -p "$folder/net/$2" "$TREE/sys/class/net/$2" "$TREE/sys/bus/pci/drivers/$3"
    echo 0x020000 >"$folder/class"
    echo 1 >"$folder/numa_node"
    ln -s "$TREE/sys/bus/pci/drivers/$3" "$folder/driver"
    ln -s "$TREE/sys/kernel/iommu_groups/7" "$folder/iommu_group"
    ln -s "$folder" "$TREE/sys/class/net/$2/device"
}
card 0000:3b:00.0 eth1 ice
card 0000:3b:00.1 eth0 ice
card 0000:5e:00.0 eth2 mlx5_core

# The programs that it calls write down what they are asked.
for program in modprobe driverctl; do
    printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n' $program "$TREE" >"$TREE/bin/$program"
done
cat >"$TREE/bin/ip" <<'END'
#!/bin/sh
case "$*" in
    *"route show default") echo "default via 10.0.0.254 dev eth0" ;;
    *"address show dev eth1") echo "3: eth1 inet 10.9.9.9/24 brd 10.9.9.255 scope global eth1" ;;
esac
END
chmod +x "$TREE"/bin/*

setup() { PATH=$TREE/bin:$PATH HOST_SETUP_ROOT=$TREE "$ROOT/scripts/host-setup" "$@" 2>&1; }
says() {
    local text=$1 output
    shift
    output=$("$@") && grep -qF -- "$text" <<<"$output"
}
refuses() {
    local text=$1 output
    shift
    if output=$("$@"); then return 1; fi
    grep -qF -- "$text" <<<"$output"
}
asked() { [ "$(cat "$TREE/calls" 2>/dev/null)" = "$1" ]; }

check "the cards are listed with their drivers" says "0000:3b:00.0   ice          eth1" setup show
check "a dry run asks for nothing" says "would run: driverctl set-override 0000:3b:00.0 vfio-pci" setup --dry-run bind eth1
check "and changes nothing" asked ""
check "the card with the default route is refused" refuses "eth0 has the default route" setup bind eth0
SSH_CONNECTION="10.9.9.1 5000 10.9.9.9 22" check "the card of this ssh session is refused" \
    refuses "this ssh session uses eth1" setup bind eth1
check "a card that shares is left alone" says "shares the card with DPDK" setup bind eth2
check "an interface without a PCI device is refused" refuses "there is no such interface" setup bind eth9
check "nothing was asked until now" asked ""
check "a card is bound by its interface" says 'device = "0000:3b:00.0"' setup bind eth1
check "for good" asked "modprobe vfio-pci
driverctl set-override 0000:3b:00.0 vfio-pci"
check "--force takes the default route's card" says 'device = "0000:3b:00.1"' setup --force bind eth0
check "hugepages are reserved" says "1024 hugepages of 2 MB are reserved" setup hugepages 2048
check "also at the next boot" says "vm.nr_hugepages = 1024" cat "$TREE/etc/sysctl.d/90-director.conf"
check "a word is no number of megabytes" refuses "needs a number of megabytes" setup hugepages many
check "the command line isolates the cores" says "hugepages=2048 isolcpus=2-5 nohz_full=2-5 rcu_nocbs=2-5" setup cmdline 2-5 4096
rm "$TREE/calls"
check "undo" says "belongs to the kernel" setup undo
check "gives both cards back" asked "driverctl unset-override 0000:3b:00.0
driverctl unset-override 0000:3b:00.1"
check "and the hugepages" says 0 cat "$TREE/proc/sys/vm/nr_hugepages"
gone() { [ ! -e "$TREE/etc/sysctl.d/90-director.conf" ] && [ ! -e "$TREE/etc/modules-load.d/director.conf" ]; }
check "nothing of it is left" gone
check "an unknown command is refused with the known ones" refuses "there are show, hugepages" setup bond
conclude
