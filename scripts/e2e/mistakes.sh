#!/usr/bin/env bash
# Each mistake ends with status 1 and a sentence that helps. Nothing is left behind.
source "$(dirname "$0")/begin.bash"

world_network
PREFIX=$WORLD_NAME-mistake
at_exit "rm -rf '/var/run/dpdk/$PREFIX'"

# mistaken WHAT PATTERN: directord with $WORLD/mistake.toml must refuse with the pattern.
mistaken() { check "$1" refuses "$2" directord --config "$WORLD/mistake.toml"; }

refuses() { # PATTERN PROGRAM ARGUMENT...
    local pattern=$1 program=$2 rc=0 last
    shift 2
    inside director timeout 20 "$BIN/$program" "$@" >"$WORLD/said" 2>&1 || rc=$?
    last=$(grep -v '^$' "$WORLD/said" | tail -n 1)
    say "      $last"
    [ $rc = 1 ] && ! grep -q panicked "$WORLD/said" && grep -Eq -- "$pattern" <<<"$last" &&
        [ ! -e "$WORLD/mistake.sock" ] && ! compgen -G "/dev/hugepages/$PREFIX*" >/dev/null
}

base() {
    world_config 1 no | sed "s|^file_prefix.*|file_prefix = \"$PREFIX\"|;
        s|^socket.*|socket = \"$WORLD/mistake.sock\"|"
}

base | sed 's/^no_huge/no_hugh/' >"$WORLD/mistake.toml"
mistaken "an unknown key" 'no_hugh.*allowed'
base | sed 's/^memory_mb.*/memory_mb = "much"/' >"$WORLD/mistake.toml"
mistaken "a value of the wrong kind" 'memory_mb|integer'
{ base && world_service tcp $VIP_DR:80 route 80 | sed 's/"rr"/"best"/'; } >"$WORLD/mistake.toml"
mistaken "an unknown scheduler" 'best'
check "--check-config says the same" refuses 'best' directord --check-config "$WORLD/mistake.toml"
{ base && world_service tcp $VIP_DR:80 detour 80; } >"$WORLD/mistake.toml"
mistaken "an unknown method" 'detour'
base | sed 's/iface=lan/iface=lane/' >"$WORLD/mistake.toml"
mistaken "a device that is not there" 'lan|net_af_packet1'
check "--check-config --here finds it too" \
    refuses 'this machine has no interface lane' directord --check-config "$WORLD/mistake.toml" --here
base | sed 's/^device = "net_af_packet1"/device = "0000:99:00.0"/' >"$WORLD/mistake.toml"
mistaken "a PCI address without a device" '0000:99:00.0'
base | sed 's/^device = "net_af_packet1"/&\nmtu = 2000/' >"$WORLD/mistake.toml"
mistaken "an MTU that the device cannot have" 'port.mtu 2000 .*allowed is [0-9]+ to 1500'
base | sed 's/^workers = 1/workers = 2/' >"$WORLD/mistake.toml"
mistaken "more workers than queue pairs" 'allowed: qpairs=2 in its dpdk.vdevs'
check "--check-config says the same" \
    refuses 'allowed: qpairs=2' directord --check-config "$WORLD/mistake.toml"
check "no such file" refuses 'nowhere.toml' directord --config "$WORLD/nowhere.toml"

if [ "$(awk '/^HugePages_Total/ { print $2 }' /proc/meminfo)" = 0 ]; then
    base | sed 's/^no_huge.*/no_huge = false/' >"$WORLD/mistake.toml"
    mistaken "no hugepages" '[Hh]ugepages'
fi

stranger() { # runs directord without privileges
    install -m 755 -d "$WORLD/stranger"
    install -m 755 "$BIN/directord" "$WORLD/stranger/directord"
    base >"$WORLD/mistake.toml"
    local rc=0
    inside director setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
        env HOME=/tmp XDG_RUNTIME_DIR="$WORLD/stranger" timeout 20 \
        "$WORLD/stranger/directord" --config "$WORLD/mistake.toml" >"$WORLD/said" 2>&1 || rc=$?
    say "      $(tail -n 1 "$WORLD/said")"
    [ $rc = 1 ] && tail -n 1 "$WORLD/said" | grep -Eqi 'root|permission|permitted'
}
check "no permission" stranger

world_config 1 no >"$WORLD/director.toml"
check "--check-config accepts a good file" \
    inside director "$BIN/directord" --check-config "$WORLD/director.toml"
director_start
check "a second director" refuses 'another director|running|in use' directord --config "$WORLD/director.toml"
check "does not disturb the first" quietly ipvsadm -Ln
check "SIGTERM ends the director with status 0" director_stop
check "its socket is gone" test ! -e "$DIRECTOR_SOCKET"
director_start
kill -KILL "$(pid_of director)"
reap director
check "after kill -9 the next director starts" director_start
check "and ends with status 0" director_stop
conclude
