#!/usr/bin/env bash
# ipvsadm's commands, and Debian's own ipvsadm-save and ipvsadm-restore with our ipvsadm in place of Debian's.
source "$(dirname "$0")/begin.bash"

install_missing ipvsadm
world_network
world_config 1 no >"$WORLD/director.toml"
director_start

in_its_place() { # COMMAND...: runs it with our ipvsadm bind-mounted over Debian's
    unshare --mount bash -c 'mount --bind "$1" "$(readlink -f /sbin/ipvsadm)" && shift && "$@"' \
        in_its_place "$BIN/ipvsadm" "$@"
}

check "no service at the start" test "$(ipvsadm -Sn | wc -l)" = 0
ipvsadm -A -t $VIP_DR:80 -s wrr
ipvsadm -a -t $VIP_DR:80 -r 192.168.10.11:80 -g -w 3
ipvsadm -a -t $VIP_DR:80 -r 192.168.10.12:80 -g -w 2
ipvsadm -A -u $VIP_DNS:53 -s rr -o
ipvsadm -a -u $VIP_DNS:53 -r 192.168.10.13:53 -m
ipvsadm -A -t $VIP_NAT:443 -s rr -p 600
ipvsadm -a -t $VIP_NAT:443 -r 192.168.10.11:443 -i
ipvsadm -A -f 9 -s wrr
in_its_place ipvsadm-save -n >"$WORLD/saved"
check "everything is saved" test "$(wc -l <"$WORLD/saved")" = 8
ipvsadm -C
check "-C empties the table" test "$(ipvsadm -Sn | wc -l)" = 0
in_its_place ipvsadm-restore <"$WORLD/saved"
check "what is restored is what was saved" cmp "$WORLD/saved" <(ipvsadm -Sn)

refused() { # STATUS MESSAGE ARGUMENT...: ipvsadm must fail with that status and message
    local status=$1 message=$2 said rc=0
    shift 2
    said=$(ipvsadm "$@" 2>&1 >/dev/null) || rc=$?
    [ "$rc" = "$status" ] && [ "$said" = "$message" ]
}
check "a service twice" refused 255 "Service already exists" -A -t $VIP_DR:80 -s rr
check "a service that is not there" refused 255 "No such service" -D -t 10.0.0.99:80

check "directorctl knows its workers" says '"workers"' directorctl status --json
for command in status queues ports neighbours drops; do
    check "directorctl $command --json is JSON" quietly jq -e . <(directorctl $command --json)
done
# The drivers of kernel interfaces always report the link as up, so the interface itself is asked.
lan_is() { directorctl ports | grep -Eq "^lan .* $1[, ]"; }
check "a port is up" lan_is up
inside director ip link set lan down
wait_for "the end of the link" lan_is down
inside director ip link set lan up
wait_for "the link" lan_is up

# CAP_DAC_OVERRIDE, NET_ADMIN, NET_RAW and IPC_LOCK, in every thread.
capabilities() { cat /proc/"$(pid_of director)"/task/*/status | awk -v key="$1:" '$1 == key { print $2 }' | sort -u; }
check "no thread keeps capabilities that it does not need" \
    test "$(capabilities CapEff) $(capabilities CapPrm)" = "0000000000007002 0000000000007002"
check "the log says which remain" grep -q "capabilities that remain: CAP_" "$WORLD/director.log"
check "the socket is the owner's alone" test "$(stat -c %a "$DIRECTOR_SOCKET")" = 600
check "SIGTERM ends the director with status 0" director_stop

no_director() { # ipvsadm must fail and name directord
    local rc=0
    said=$(ipvsadm -Ln 2>&1 >/dev/null) || rc=$?
    [ "$rc" != 0 ] && grep -q "directord" <<<"$said"
}
check "without a director, ipvsadm fails with a sentence about it" no_director
conclude
