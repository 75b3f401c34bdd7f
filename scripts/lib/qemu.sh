# Debian's kernel and a QEMU that has the igb card, fetched into $CACHE. To be sourced after lib.sh.
# shellcheck shell=bash disable=SC2034 # the script reads what is listed below
#
# fetch_kernel sets KERNEL, MODULES and BUSYBOX. choose_qemu sets QEMU; without an igb it removes it from DEVICES.

# shellcheck source=SCRIPTDIR/unpack.sh
source "$ROOT/scripts/lib/unpack.sh"

fetch_kernel() {
    local package
    package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }')
    if [ ! -e "$CACHE/kernel/done" ]; then
        [ -n "$package" ] || { apt-get update -q >/dev/null 2>&1 &&
            package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ { print $2; exit }'); }
        unpack "$CACHE/kernel" "$package" busybox-static ||
            { apt-get update -q >/dev/null 2>&1 && unpack "$CACHE/kernel" "$package" busybox-static; } ||
            die "apt-get cannot fetch Debian's kernel: check this machine's package sources"
    fi
    KERNEL=$(echo "$CACHE"/kernel/boot/vmlinuz-*)
    MODULES=$(echo "$CACHE"/kernel/lib/modules/*/kernel)
    BUSYBOX=$CACHE/kernel/bin/busybox
}

has_igb() { [[ $("$@" -device igb,help 2>&1) == *'igb options:'* ]]; }

# QEMU has the igb since version 8. Debian 12 has it in its backports; it is used from where it is unpacked.
choose_qemu() {
    local lists=$CACHE/backports
    QEMU=(qemu-system-x86_64)
    has_igb "${QEMU[@]}" && return 0
    if [ ! -e "$CACHE/qemu/done" ]; then
        mkdir -p "$lists/lists/partial" "$lists/cache"
        echo "deb http://deb.debian.org/debian bookworm-backports main" >"$lists/sources.list"
        APT_OPTIONS=(-o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts=/nonexistent
            -o Dir::State::lists="$lists/lists" -o Dir::Cache="$lists/cache")
        { apt-get "${APT_OPTIONS[@]}" update -q >/dev/null 2>&1 &&
            unpack "$CACHE/qemu" {qemu-system-{x86,common,data},seabios}/bookworm-backports; } || true
        APT_OPTIONS=()
        rm -rf "$lists"
    fi
    local newer=("$CACHE/qemu/usr/bin/qemu-system-x86_64" -L "$CACHE/qemu/usr/share/qemu"
        -L "$CACHE/qemu/usr/share/seabios")
    if has_igb "${newer[@]}"; then
        QEMU=("${newer[@]}")
    else
        skip igb "this QEMU does not have it, and Debian's backports cannot be reached"
        DEVICES=("${DEVICES[@]/#igb */}")
    fi
}
