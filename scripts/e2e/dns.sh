#!/usr/bin/env bash
# dnsmasq and dig over UDP by NAT: balance, right answers, and a server that is drained.
source "$(dirname "$0")/begin.bash"

world_network
world_dns
{
    world_config 1 no
    world_service udp $VIP_DNS:53 masq 5353
} >"$WORLD/director.toml"
director_start

check "every question is answered" into "$WORLD/answers" ask 30 $VIP_DNS
check "the servers take turns" even "$WORLD/answers" 30 1
check "the answer is the right one" says $VIP_DR \
    inside client dig +short +time=2 @$VIP_DNS www.example.test
check "the connections are listed" test "$(connections)" -ge 31
ipvsadm -e -u $VIP_DNS:53 -r 192.168.10.11:5353 -m -w 0
check "with one server drained, every question is answered" into "$WORLD/answers" ask 20 $VIP_DNS
check "and the drained server gets none" sh -c "! grep -q 'server 1' '$WORLD/answers'"
check "SIGTERM ends the director with status 0" director_stop
conclude
