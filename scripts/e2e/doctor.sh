#!/usr/bin/env bash
# directorctl doctor: what a machine lacks before the start, and what a running director finds.
source "$(dirname "$0")/begin.bash"

world_network
world_config 1 no >"$WORLD/director.toml"
export DIRECTOR_SOCKET=$WORLD/control.sock

# doctor STATUS: runs it in the director's namespace; its report is in $WORLD/report.
doctor() {
    local status=0
    inside director "$BIN/directorctl" doctor --config "$WORLD/$2" "${@:3}" >"$WORLD/report" 2>&1 || status=$?
    [ $status = "$1" ]
}
reports() { grep -qF -- "$1" "$WORLD/report"; }

check "a machine that can serve has status 0" doctor 0 director.toml
check "and it says so" reports "This machine can serve"

inside director ip link set lan down
check "an interface that is down has status 1" doctor 1 director.toml
check "with the command that mends it" reports "mend: ip link set lan up"
inside director ip link set lan up
inside director ip address add 10.0.0.1/24 dev wan
check "an address that the kernel has too has status 1" doctor 1 director.toml
check "with the address" reports "the kernel has 10.0.0.1 too"
inside director ip address delete 10.0.0.1/24 dev wan

sed 's/iface=wan/iface=wan7/' "$WORLD/director.toml" >"$WORLD/missing.toml"
check "an interface that does not exist is found" doctor 1 missing.toml --json
check "also as JSON" jq -e '.[0].problem | contains("no interface wan7")' "$WORLD/report"
echo "[director" >"$WORLD/broken.toml"
check "a faulty configuration has status 1" doctor 1 broken.toml
check "with its line" reports "broken.toml:1"

director_start
check "a running director has status 0" doctor 0 director.toml
inside director ip link set wan down
down() { doctor 1 director.toml && reports "port wan has no link"; }
check "a link that is lost has status 1" wait_for "the link to go down" down
conclude
