#!/usr/bin/env bash
# AF_XDP ports without hugepages: frames that the director drops or answers use up no buffers.
source "$(dirname "$0")/begin.bash"

world_network
world_web
{
    world_config 1 no | sed -e 's/net_af_packet/net_af_xdp/g' -e 's/,qpairs=1//g'
    world_service tcp $VIP_NAT:80 masq 8080
} >"$WORLD/director.toml"
director_start

fetches() { says server inside client curl -s --max-time 5 "http://$VIP_NAT/"; }
check "the service works" fetches

received() { directorctl queues --json | jq '[.[] | select(.port == "wan") | .rx_packets] | add'; }
before=$(received)
# To an address of nobody behind the director: dropped without being sent on.
inside client python3 - <<'END'
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(120000):
    sender.sendto(b"x" * 18, ("10.0.0.1", 9))
    if number % 500 == 0:
        time.sleep(0.005)
END
check "100,000 frames arrived" test $(($(received) - before)) -gt 100000
check "the service still works" fetches
# The queues of a director that was killed are released late; the next one waits for them.
for round in 1 2 3; do
    kill -9 "$(pid_of director)"
    wait "$(pid_of director)" 2>/dev/null || true
    rm -f "$WORLD/pids/director"
    director_start
    check "it starts right after a kill, round $round" fetches
done
# Without the capabilities for it, the programs would stay.
attached() { inside director ip link show wan | grep -q xdp; }
check "AF_XDP has its program on the interface" attached
check "SIGTERM ends the director with status 0" director_stop
left() { if attached; then say left; fi; }
check "and takes its program off the interface" test "$(left)" = ""
conclude
