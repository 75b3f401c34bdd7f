#!/usr/bin/env bash
# A switch with MLD snooping and a querier: it forwards a question for an IPv6 address only to members of the address's
# group. The director reports its groups and answers the queries, so neighbours find it. It also answers large pings.
source "$(dirname "$0")/begin.bash"

world_network
inside router ip link set lan type bridge mcast_snooping 1 mcast_querier 1
{
    world_config 1 no
    world_service tcp "[$VIP6_NAT]:80" masq 8080
} >"$WORLD/director.toml"
director_start

# found ADDRESS: server 1 asks the link for the address and gets echo replies.
found() {
    inside server1 ip -6 neigh flush all
    quietly inside server1 ping -6 -q -c 2 -W 2 "$1"
}

check "fd00:b::1 is found at once" found fd00:b::1
# The switch has asked by now, and forgets every host that has not answered.
sleep 20
check "fd00:b::1 is found after 20 seconds" found fd00:b::1

# The af_packet driver hands over IPv4 fragments as one packet, which has to fit its frame.
check "IPv4 pings larger than the MTU are answered" \
    quietly inside server1 ping -q -c 2 -W 2 -s 1473 192.168.10.1
for size in 1473 4000; do
    check "IPv6 pings of $size bytes are answered" \
        quietly inside server1 ping -6 -q -c 2 -W 2 -s $size fd00:b::1
done
conclude
