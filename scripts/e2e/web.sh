#!/usr/bin/env bash
# nginx behind DR, NAT and TUN with one worker, and IPv6 behind DR and NAT: each server gets every third request, and large
# answers and large requests arrive whole.
source "$(dirname "$0")/begin.bash"

world_network
world_tunnel_ends
world_web
{
    world_config 1 no
    world_service tcp $VIP_DR:80 route 80
    world_service tcp $VIP_NAT:80 masq 8080
    world_service tcp $VIP_TUN:80 tunnel 80
    world_service tcp "[$VIP6_DR]:80" route 80
    world_service tcp "[$VIP6_NAT]:80" masq 8080
} >"$WORLD/director.toml"
director_start

# upload VIP: sends a request of a megabyte. Through a tunnel this needs the path MTU.
upload() {
    says "server" inside client curl -s --fail --max-time 30 --data-binary "@$WORLD/megabyte" \
        -H 'Expect:' "http://$1/upload"
}

for vip in $VIP_DR $VIP_NAT $VIP_TUN "[$VIP6_DR]" "[$VIP6_NAT]"; do
    check "$vip answers every request" into "$WORLD/pages" fetch 60 "http://$vip/"
    check "$vip is balanced" even "$WORLD/pages" 60 1
    check "$vip gives whole megabytes" megabytes 3 "http://$vip"
    check "$vip takes a megabyte" upload "$vip"
done
check "NAT reaches port 8080" says "port 8080" inside client curl -s "http://$VIP_NAT/port"
check "DR keeps port 80" says "port 80" inside client curl -s "http://$VIP_DR/port"

refused() { # an unserved port of a VIP must answer with a reset, at once
    local status=0
    inside client curl -s --max-time 1 "http://$1:81/" || status=$?
    [ $status = 7 ]
}
for vip in $VIP_DR "[$VIP6_DR]"; do
    check "an unserved port of $vip is refused" refused "$vip"
done
check "the VIP answers pings" quietly inside client ping -q -c 2 -W 2 $VIP_DR
check "the IPv6 VIP too" quietly inside client ping -q -c 2 -W 2 $VIP6_DR
check "SIGTERM ends the director with status 0" director_stop
check "its socket is gone" test ! -e "$DIRECTOR_SOCKET"
conclude
