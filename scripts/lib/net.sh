# Cables, addresses, routes. To be sourced by world.sh.
# shellcheck shell=bash

# link PLACE DEVICE PLACE DEVICE: a veth pair. Offloads are off, because the director sees these frames as a wire would
# carry them: with complete checksums, and no longer than the MTU.
link() {
    local end place device
    ip link add "$2" netns "$WORLD_NAME-$1" type veth peer name "$4" netns "$WORLD_NAME-$3"
    for end in "$1 $2" "$3 $4"; do
        read -r place device <<<"$end"
        inside "$place" ethtool -K "$device" tx off rx off sg off tso off gso off gro off >/dev/null
        inside "$place" ip link set "$device" up
    done
}

# settings PLACE NAME=VALUE...: sysctls of that namespace.
settings() {
    local place=$1
    shift
    inside "$place" sysctl -q -w "$@"
}

# All namespaces with their cables, addresses and routes.
world_network() {
    local place number
    for place in client router director server1 server2 server3; do
        ip netns add "$WORLD_NAME-$place"
        inside "$place" ip link set lo up
        # Answers do not come in where requests go out.
        settings "$place" net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
            net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    done
    # The kernel in the director's namespace must not speak IPv6 on its ports.
    settings director net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    link client eth0 router client
    link router wan director wan
    inside router ip link add lan type bridge
    inside router ip link set lan up
    link director lan router director
    inside router ip link set director master lan

    settings router net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
        net.ipv4.conf.default.send_redirects=0 net.ipv6.conf.all.forwarding=1
    addresses router client 10.1.0.1/24 fd00:c::1/64
    addresses router wan 10.0.0.254/24 fd00:a::fe/64
    addresses router lan 192.168.10.254/24 fd00:b::fe/64
    addresses client eth0 $CLIENT/24 fd00:c::2/64
    inside client ip route add default via 10.1.0.1
    inside client ip route add default via fd00:c::1

    for number in 1 2 3; do
        world_server_network "$number"
    done
}

# A real server as the LVS documentation describes it: the VIPs are on lo, and it does not answer ARP for them.
world_server_network() {
    local place=server$1 vip
    link "$place" eth0 router "$place"
    inside router ip link set "$place" master lan
    settings "$place" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    addresses "$place" eth0 "192.168.10.1$1/24" "fd00:b::1$1/64"
    for vip in $VIP_DR $VIP_TUN $VIP6_DR; do
        addresses "$place" lo "$vip"
        # Answers from a VIP go straight to the client, not through the director.
        inside "$place" ip "$(family "$vip")" rule add from "$vip" table 100
    done
    inside "$place" ip route add default via 192.168.10.254 table 100
    inside "$place" ip route add default via fd00:b::fe table 100
    # Answers by NAT go back through the director.
    inside "$place" ip route add default via 192.168.10.1
    inside "$place" ip route add default via fd00:b::1
}

# addresses PLACE DEVICE ADDRESS...
addresses() {
    local place=$1 device=$2 address
    shift 2
    for address; do
        inside "$place" ip address add "$address" dev "$device"
    done
}

family() { [[ $1 = *:* ]] && echo -6 || echo -4; }

# deaf PLACE DEVICE...: the kernel there does not hear what comes in by the devices. The director's af_packet ports do: they
# are asked first. Without it both would answer where the kernel has the director's addresses.
deaf() {
    local place=$1 device
    shift
    for device; do
        inside "$place" nft -f - <<-END
			table netdev director-$device {
			    chain ingress {
			        type filter hook ingress device "$device" priority 0; policy drop;
			    }
			}
		END
    done
}
