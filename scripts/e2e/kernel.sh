#!/usr/bin/env bash
# Kernel interfaces: ssh, iperf3 and BGP with BFD reach the host's own stack on the director's ports, beside balanced traffic.
source "$(dirname "$0")/begin.bash"
source "$ROOT/scripts/lib/unpack.sh"

install_missing nftables openssh-client tcpdump
PROGRAMS=$TARGET/e2e/programs
if [ ! -e "$PROGRAMS/done" ]; then
    mkdir -p "$TARGET/e2e"
    packages=(bird2 libssh-gcrypt-4 openssh-server libwrap0 libnsl2 libtirpc3 libgssapi-krb5-2 libkrb5-3 libk5crypto3
        libkrb5support0 libkeyutils1)
    unpack "$PROGRAMS" "${packages[@]}" ||
        { quietly apt-get update -q && unpack "$PROGRAMS" "${packages[@]}"; } ||
        { skip "kernel interfaces" "apt-get cannot fetch ${packages[*]}"; conclude; exit; }
fi
LIBRARIES=$PROGRAMS/usr/lib/x86_64-linux-gnu:$PROGRAMS/lib/x86_64-linux-gnu

VIP_BGP=10.55.0.1
VIP6_BGP=fd55::1

world_network
world_web
deaf director wan lan
settings director net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
    net.ipv6.conf.wan.disable_ipv6=1 net.ipv6.conf.lan.disable_ipv6=1

# config WAN LAN: the configuration with these names of the kernel interfaces.
config() {
    world_config 1 no |
        sed -e "/^name = \"wan\"/a kernel = $1" -e "/^name = \"lan\"/a kernel = $2"
    world_service tcp $VIP_DR:80 route 80
    world_service tcp $VIP_NAT:80 masq 8080
    world_service tcp $VIP_BGP:80 masq 8080
    world_service tcp "[$VIP6_BGP]:80" masq 8080
}

taken() {
    config true '"klan"' >"$WORLD/director.toml"
    { inside director timeout 30 "$BIN/directord" --config "$WORLD/director.toml" 2>&1 || true; } |
        grep -F "kernel interface wan: an interface of this name exists already; remove it (ip link delete wan)"
}
check "a name that is taken is refused with the command that mends it" quietly taken

config '"kwan"' '"klan"' >"$WORLD/director.toml"
director_start
host() { inside director "$@"; }
has() { says "$1" host ip address show dev "$2"; }
wait_for "the host's addresses" has "inet6 fd00:b::1/64" klan

mac_of() { host cat "/sys/class/net/$1/address"; }
check "the kernel interface has the port's MAC address" test "$(mac_of wan)" = "$(mac_of kwan)"
check "it has the addresses" has "inet 10.0.0.1/24" kwan
check "of both families" has "inet6 fd00:a::1/64" kwan
check "and the virtual ones" has "inet $VIP_DR/32" kwan
check "the host has a default route, behind its own" says "via 10.0.0.254" host ip route show default metric 4096

# The host asks, and hears the answers.
for place in 10.0.0.254 fd00:a::fe $CLIENT 192.168.10.11 fd00:b::11; do
    check "the host pings $place" quietly host ping -q -c 2 -W 2 "$place"
done
check "the host pings fd00:a::fe with 4000 bytes" quietly host ping -q -c 2 -W 2 -s 4000 fd00:a::fe
check "the client pings 10.0.0.1 with 1473 bytes" quietly inside client ping -q -c 2 -W 2 -s 1473 10.0.0.1
check "the client pings fd00:a::1 with 4000 bytes" quietly inside client ping -q -c 2 -W 2 -s 4000 fd00:a::1

# ssh: the host's server, with keys and a user database of its own.
mkdir -p "$WORLD/ssh"
for key in host client; do quietly ssh-keygen -q -t ed25519 -N '' -f "$WORLD/ssh/$key"; done
{ grep -v '^sshd:' /etc/passwd && echo 'sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin'; } >"$WORLD/ssh/passwd"
if [ ! -d /run/sshd ]; then
    mkdir /run/sshd
    at_exit "rmdir /run/sshd"
fi
cat >"$WORLD/ssh/config" <<-END
	HostKey $WORLD/ssh/host
	AuthorizedKeysFile $WORLD/ssh/client.pub
	PidFile none
	StrictModes no
	UsePAM no
END
# The mount is seen by this process only.
spawn sshd director env LD_LIBRARY_PATH="$LIBRARIES" bash -c "mount --bind '$WORLD/ssh/passwd' /etc/passwd &&
    exec '$PROGRAMS/usr/sbin/sshd' -D -e -f '$WORLD/ssh/config'"
wait_for "sshd" says ":22 " host ss -ltn

# remote ADDRESS COMMAND...: runs the command by ssh.
remote() {
    local address=$1
    shift
    inside client ssh -n -i "$WORLD/ssh/client" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=ERROR -o ConnectTimeout=5 "root@$address" "$@"
}
spawn capture director tcpdump -c 1 -ni kwan tcp dst port 22
wait_for "tcpdump" grep -q "listening on kwan" "$WORLD/capture.log"
check "ssh to 10.0.0.1" says "kwan" remote 10.0.0.1 ip -o link show dev kwan
check "tcpdump on the kernel interface shows it" wait_for "the capture" grep -q "$CLIENT.* > 10.0.0.1.22" "$WORLD/capture.log"
check "ssh to fd00:a::1" says "kwan" remote fd00:a::1 ip -o link show dev kwan
check "ssh to a virtual address" says "kwan" remote $VIP_DR ip -o link show dev kwan

# A port that nobody has is refused by the host's own stack.
closed() {
    local status=0
    inside client curl -s --max-time 2 "http://$1:81/" || status=$?
    [ $status = 7 ]
}
check "a closed port of 10.0.0.1 is refused" closed 10.0.0.1
check "a closed port of a virtual address too" closed $VIP_NAT

# Balanced traffic beside a flood at the host: twenty times what it may have.
balanced() {
    check "$1 answers every request" into "$WORLD/pages" fetch 60 "http://$1/"
    check "$1 is balanced" even "$WORLD/pages" 60 1
}
balanced $VIP_DR
balanced $VIP_NAT
spawn iperf director iperf3 -s
wait_for "iperf3" says ":5201 " host ss -ltn
spawn flood router iperf3 -c 10.0.0.1 -u -b 0 -l 64 -t 5
balanced $VIP_DR
balanced $VIP_NAT
check "ssh works beside the flood" says "kwan" remote 10.0.0.1 ip -o link show dev kwan
reap flood
for address in 10.0.0.1 fd00:a::1; do
    check "iperf3 to $address: $(inside router iperf3 -c "$address" -t 2 --json |
        jq -r '"\(.end.sum_received.bits_per_second / 1e6 | floor) Mbit/s"')" true
done

# A destination of the director's own is served by the host.
VIP_LOCAL=10.0.0.104
ipvsadm -A -t $VIP_LOCAL:5201 -s rr
ipvsadm -a -t $VIP_LOCAL:5201 -r 127.0.0.1:5201 -g
wait_for "the virtual address on the host" has "inet $VIP_LOCAL/32" kwan
check "a local destination is served by the host" quietly inside client iperf3 -c $VIP_LOCAL -t 1
check "its connections are listed" says "127.0.0.1:5201" ipvsadm -Lnc
ipvsadm -D -t $VIP_LOCAL:5201
gone() { ! has "$VIP_LOCAL/32" kwan; }
check "the host gives the virtual address up" wait_for "the address to go" gone

# What the operator adds is the director's too.
host ip address add 10.0.0.77/24 dev kwan
check "an added address is answered" quietly inside client ping -q -c 3 -i 0.3 -W 2 10.0.0.77
check "and reaches the host" says "kwan" remote 10.0.0.77 ip -o link show dev kwan
host ip address delete 10.0.0.77/24 dev kwan

# The link, and a device that is lost.
state() { says "$1" host ip link show dev kwan; }
host ip link set wan down
wait_for "the host's link to go down" state NO-CARRIER
check "the kernel interface follows the link down" state NO-CARRIER
host ip link set wan up
wait_for "the host's link to come up" state LOWER_UP
check "and up" state LOWER_UP
host ip link delete kwan
check "balanced traffic goes on without the device" into "$WORLD/pages" fetch 30 "http://$VIP_NAT/"
wait_for "the device to come back" has "inet 10.0.0.1/24" kwan
check "a deleted device is made again" quietly host ping -q -c 2 -W 2 10.0.0.254

# BGP: the director's BIRD announces two virtual addresses to the router's, and BFD watches the way.
bird_config() { # ID OWN PEER OWN-AS PEER-AS OWN6
    cat <<-END
		router id $1;
		protocol device { scan time 1; }
		protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }
		protocol kernel { ipv4 { $7 }; }
		protocol kernel { ipv6 { $7 }; }
		protocol bgp peer {
		    local $2 as $4;
		    neighbor $3 as $5;
		    bfd on;
		    connect delay time 1;
		    ipv4 { import all; export all; };
		    ipv6 { import all; export all; next hop address $6; };
		}
	END
}
{
    bird_config 10.0.0.1 10.0.0.1 10.0.0.254 65001 65000 fd00:a::1 "export none;"
    cat <<-END
		protocol static { ipv4; route $VIP_BGP/32 blackhole; }
		protocol static { ipv6; route $VIP6_BGP/128 blackhole; }
	END
} >"$WORLD/bird-director.conf"
bird_config 10.0.0.254 10.0.0.254 10.0.0.1 65000 65001 fd00:a::fe "export all;" >"$WORLD/bird-router.conf"
for place in router director; do
    spawn "bird-$place" "$place" env LD_LIBRARY_PATH="$LIBRARIES" "$PROGRAMS/usr/sbin/bird" -f \
        -c "$WORLD/bird-$place.conf" -s "$WORLD/bird-$place.ctl"
done
bird() { env LD_LIBRARY_PATH="$LIBRARIES" "$PROGRAMS/usr/sbin/birdc" -s "$WORLD/bird-$1.ctl" "${@:2}"; }
route() { says "via $2" inside router ip "$(family "$1")" route show "$1"; }
wait_for "the announced route" route $VIP_BGP 10.0.0.1
check "the router learns the virtual address by BGP" route $VIP_BGP 10.0.0.1
wait_for "the announced IPv6 route" route $VIP6_BGP fd00:a::1
check "the IPv6 one too" route $VIP6_BGP fd00:a::1
wait_for "BFD" says " Up " bird router show bfd sessions
check "clients reach the announced address" into "$WORLD/pages" fetch 60 "http://$VIP_BGP/"
check "and the IPv6 one" into "$WORLD/pages" fetch 60 "http://[$VIP6_BGP]/"
kill -KILL "$(pid_of director)"
withdrawn() { ! route $VIP_BGP 10.0.0.1; }
began=$(date +%s%N)
wait_for "the route to go" withdrawn
check "the route is withdrawn $((($(date +%s%N) - began) / 1000000)) ms after directord died" withdrawn
conclude
