#!/usr/bin/env bash
# iperf3 through NAT with two workers: streams in both directions. Replies that arrive at the other worker's queue are
# handed off.
source "$(dirname "$0")/begin.bash"

world_network
world_web
spawn iperf3 server1 iperf3 --server --port 5201
{
    world_config 2 no
    for protocol in tcp udp; do
        printf '[[service]]\nprotocol = "%s"\naddress = "%s:5201"\nscheduler = "rr"\n' \
            $protocol $VIP_NAT
        printf '[[service.destination]]\naddress = "192.168.10.11:5201"\nmethod = "masq"\n'
    done
    world_service tcp $VIP_NAT:80 masq 8080
} >"$WORLD/director.toml"
director_start

iperf() { inside client iperf3 --client $VIP_NAT --port 5201 --json "$@" >"$WORLD/iperf.json"; }

# measured FILTER: prints the rate, and checks iperf3's report with a jq filter.
measured() {
    jq -r '"      \(.end.sum_received.bits_per_second // .end.sum.bits_per_second | . / 1e6 | round) Mbit/s"' \
        "$WORLD/iperf.json"
    jq -e "$1" "$WORLD/iperf.json" >/dev/null
}

check "TCP to the server" iperf --time 3 --parallel 4
check "carries data" measured '.end.sum_received.bits_per_second > 5e6'
check "TCP from the server" iperf --time 3 --parallel 4 --reverse
check "carries data" measured '.end.sum_received.bits_per_second > 5e6'
check "UDP to the server" iperf --time 3 --udp --bitrate 10M --length 1200
check "arrives" measured '.end.sum.lost_percent < 5 and .end.sum.packets > 1000'

check "200 requests with two workers" into "$WORLD/pages" fetch 200 "http://$VIP_NAT/"
check "are balanced" even "$WORLD/pages" 200 3
check "megabytes are whole" megabytes 6 "http://$VIP_NAT"
check "replies were handed off between workers" test "$(counter handoff_tx)" -gt 0
directorctl queues
check "SIGTERM ends the director with status 0" director_stop
conclude
