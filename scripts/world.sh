# A small network in namespaces around a director. To be sourced after lib.sh.
# shellcheck shell=bash
#
#   client --- router --- wan [director] lan ---+--- server 1, 2, 3
#                  \____________________________/
#
# The router joins the client's network, the director's wan side and the servers' network, as the
# switch of a data centre does: what servers answer by DR and TUN goes straight to the client.

CLIENT=10.1.0.2
VIP_DR=10.0.0.100
VIP_NAT=10.0.0.101
VIP_TUN=10.0.0.102
VIP_DNS=10.0.0.103
VIP6_DR=fd00:a::100
VIP6_NAT=fd00:a::101

# world_prepare NAME FOLDER: names are NAME-client and so on; FOLDER keeps everything else.
world_prepare() {
    WORLD_NAME=$1
    WORLD=$2
    mkdir -p "$WORLD/pids"
    chmod 755 "$WORLD"
    export DIRECTOR_SOCKET=$WORLD/control.sock
}

inside() { # inside PLACE COMMAND...
    local place=$1
    shift
    ip netns exec "$WORLD_NAME-$place" "$@"
}

# spawn NAME PLACE COMMAND...: in the background, output into NAME.log, ended with the world.
spawn() {
    local name=$1 place=$2
    shift 2
    ip netns exec "$WORLD_NAME-$place" "$@" </dev/null >>"$WORLD/$name.log" 2>&1 &
    echo $! >"$WORLD/pids/$name"
}

pid_of() { cat "$WORLD/pids/$1"; }

# reap NAME [SIGNAL]: ends what spawn started and waits for it, up to ten seconds.
reap() {
    local pid tries
    [ -f "$WORLD/pids/$1" ] || return 0
    pid=$(pid_of "$1")
    kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$WORLD/pids/$1"
}

# Everything gone: processes, namespaces, hugepages, files.
world_down() {
    local file place
    [ -d "$WORLD" ] || return 0
    for file in "$WORLD"/pids/*; do
        [ -f "$file" ] && reap "${file##*/}"
    done
    for place in $(ip netns list | awk -v prefix="$WORLD_NAME-" 'index($1, prefix) == 1 { print $1 }'); do
        ip netns delete "$place"
    done
    rm -rf "/var/run/dpdk/$WORLD_NAME"
    hugepages_restore "$WORLD/hugepages"
    rm -rf "$WORLD"
}

# link PLACE DEVICE PLACE DEVICE: a cable. What hardware would do is done in full, since the
# director sees frames as they are on the wire: no segments larger than it, no checksums left out.
link() {
    local end place device
    ip link add "$2" netns "$WORLD_NAME-$1" type veth peer name "$4" netns "$WORLD_NAME-$3"
    for end in "$1 $2" "$3 $4"; do
        read -r place device <<<"$end"
        inside "$place" ethtool -K "$device" tx off rx off sg off tso off gso off gro off >/dev/null
        inside "$place" ip link set "$device" up
    done
}

settings() { # settings PLACE NAME=VALUE...
    local place=$1
    shift
    inside "$place" sysctl -q -w "$@"
}

# The cables, addresses and routes.
world_network() {
    local place number
    for place in client router director server1 server2 server3; do
        ip netns add "$WORLD_NAME-$place"
        inside "$place" ip link set lo up
        # Answers take another way than requests.
        settings "$place" net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
            net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    done
    # The kernel beside the director stays silent.
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

# A real server as the LVS documents have it: the VIPs on lo, silent about them to ARP.
world_server_network() {
    local place=server$1 vip
    link "$place" eth0 router "$place"
    inside router ip link set "$place" master lan
    settings "$place" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    addresses "$place" eth0 "192.168.10.1$1/24" "fd00:b::1$1/64"
    for vip in $VIP_DR $VIP_TUN $VIP6_DR; do
        addresses "$place" lo "$vip"
        # What a VIP says goes straight to the client, around the director.
        inside "$place" ip "$(family "$vip")" rule add from "$vip" table 100
    done
    inside "$place" ip route add default via 192.168.10.254 table 100
    inside "$place" ip route add default via fd00:b::fe table 100
    # What NAT's port says goes back through the director.
    inside "$place" ip route add default via 192.168.10.1
    inside "$place" ip route add default via fd00:b::1
}

addresses() { # addresses PLACE DEVICE ADDRESS...
    local place=$1 device=$2 address
    shift 2
    for address; do
        inside "$place" ip address add "$address" dev "$device"
    done
}

family() { [[ $1 = *:* ]] && echo -6 || echo -4; }

# The receiving end of IPIP: the kernel's own where it has the module, else ours.
world_tunnel_ends() {
    local number place
    for number in 1 2 3; do
        place=server$number
        if inside "$place" ip link add tunnel0 type ipip \
            local "192.168.10.1$number" remote any 2>/dev/null; then
            TUNNEL_END="the kernel's ipip"
        else
            spawn "decap$number" "$place" "$LAB/decap" --tun tunnel0
            wait_for "server $number's decapsulator" grep -q ready "$WORLD/decap$number.log"
            TUNNEL_END="our decapsulator"
        fi
        settings "$place" net.ipv4.conf.tunnel0.rp_filter=0
        inside "$place" ip link set tunnel0 up
    done
}

# wait_for WHAT COMMAND...: until the command succeeds, up to 30 seconds.
wait_for() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        quietly "$@" && return
        sleep 0.05
    done
    die "$what does not come up"
}

# nginx on each server, port 80 and 8080: its own page, and the same megabyte of random bytes.
world_web() {
    local number folder
    head -c 1048576 /dev/urandom >"$WORLD/megabyte"
    for number in 1 2 3; do
        folder=$WORLD/server$number
        mkdir -p "$folder/pages" "$folder/logs"
        echo "server $number" >"$folder/pages/index.html"
        cp "$WORLD/megabyte" "$folder/pages/megabyte"
        cat >"$folder/nginx.conf" <<-END
			daemon off;
			user root;
			worker_processes 1;
			pid $folder/nginx.pid;
			error_log $folder/logs/error.log;
			events { worker_connections 1024; }
			http {
			    access_log off;
			    keepalive_timeout 0;
			    client_body_temp_path $folder/body;
			    client_max_body_size 64m;
			    proxy_temp_path $folder/proxy;
			    fastcgi_temp_path $folder/fastcgi;
			    uwsgi_temp_path $folder/uwsgi;
			    scgi_temp_path $folder/scgi;
			    server {
			        listen [::]:80 ipv6only=off;
			        listen [::]:8080 ipv6only=off;
			        root $folder/pages;
			        default_type text/plain;
			        location /upload { proxy_pass http://unix:$folder/upload.sock; }
			        location /port { return 200 "server $number port \$server_port\n"; }
			    }
			    server {
			        listen unix:$folder/upload.sock;
			        location / { return 200 "server $number\n"; }
			    }
			}
		END
        spawn "nginx$number" "server$number" nginx -p "$folder" -e "$folder/logs/error.log" \
            -c "$folder/nginx.conf"
        wait_for "nginx on server $number" inside "server$number" \
            curl -s -o "$WORLD/answer" "http://192.168.10.1$number/"
    done
}

# dnsmasq on each server, port 5353; every server knows its own name.
world_dns() {
    local number
    for number in 1 2 3; do
        spawn "dns$number" "server$number" dnsmasq --keep-in-foreground --conf-file=/dev/null \
            --user=root --pid-file= --no-resolv --no-hosts --port=5353 \
            --address=/www.example.test/$VIP_DR --txt-record="whoami.example.test,server $number"
        wait_for "dnsmasq on server $number" inside "server$number" \
            dig +short +time=1 +tries=1 -p 5353 @"192.168.10.1$number" whoami.example.test TXT
    done
}

# world_config WORKERS HUGE: the part of director.toml that is not services, to standard output.
world_config() {
    cat <<-END
		[director]
		socket = "$WORLD/control.sock"
		[dpdk]
		workers = $1
		no_huge = $([ "$2" = huge ] && echo false || echo true)
		memory_mb = 512
		vdevs = ["net_af_packet0,iface=wan,qpairs=$1", "net_af_packet1,iface=lan,qpairs=$1"]
		arguments = ["--no-pci"]
		file_prefix = "$WORLD_NAME"
		[tables]
		connections = 65536
		connections_ipv6 = 16384
		services = 1024
		destinations = 16384
		templates = 16384
		[[port]]
		name = "wan"
		device = "net_af_packet0"
		addresses = ["10.0.0.1/24", "fd00:a::1/64"]
		gateway = "10.0.0.254"
		gateway_ipv6 = "fd00:a::fe"
		[[port]]
		name = "lan"
		device = "net_af_packet1"
		addresses = ["192.168.10.1/24", "fd00:b::1/64"]
	END
}

# world_service PROTOCOL ADDRESS METHOD PORT: round robin over the three servers.
world_service() {
    local number network="192.168.10.1%s:%s"
    [[ $2 = *]:* ]] && network="[fd00:b::1%s]:%s"
    printf '[[service]]\nprotocol = "%s"\naddress = "%s"\nscheduler = "rr"\n' "$1" "$2"
    for number in 1 2 3; do
        # shellcheck disable=SC2059 # the network is a format
        printf "[[service.destination]]\naddress = \"$network\"\nmethod = \"%s\"\n" \
            "$number" "$4" "$3"
    done
}

# Starts directord with $WORLD/director.toml in its own namespace and waits until it is ready.
director_start() {
    : >"$WORLD/director.log"
    spawn director director "$BIN/directord" --config "$WORLD/director.toml"
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        grep -q 'directord: ready' "$WORLD/director.log" && return
        kill -0 "$(pid_of director)" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 5 "$WORLD/director.log" >&2
    die "directord does not start"
}

# Ends it as an operator does; its exit status is the result.
director_stop() {
    local pid
    pid=$(pid_of director)
    kill -TERM "$pid"
    rm -f "$WORLD/pids/director"
    wait "$pid"
}

ipvsadm() { "$BIN/ipvsadm" "$@"; }
directorctl() { "$BIN/directorctl" "$@"; }

# ---- load and what came of it -------------------------------------------------------------------

# fetch COUNT URL: so many requests, each on a connection of its own, twenty at a time; prints
# every page.
fetch() {
    inside client curl -s --no-progress-meter --fail --max-time 20 -Z --parallel-max 20 "$2?[1-$1]"
}

# ask COUNT ADDRESS: so many DNS questions, each from a port of its own; prints every answer.
ask() {
    local number
    for ((number = 0; number < $1; number++)); do
        inside client dig +short +time=2 +tries=2 @"$2" whoami.example.test TXT | tr -d '"'
    done
}

# even FILE COUNT SLACK: whether COUNT answers are spread over the three servers, each within
# SLACK of a third. Prints the balance.
even() {
    sort "$1" | uniq -c | sed 's/^ */      /'
    awk -v count="$2" -v slack="$3" '
        { seen[$0]++ }
        END {
            for (server in seen) {
                servers++
                all += seen[server]
                off = seen[server] - count / 3
                if (off > slack || off < -slack) uneven = 1
            }
            exit !(servers == 3 && all == count && !uneven)
        }' "$1"
}

# megabytes COUNT URL: downloads the megabyte so often; each must have the right checksum.
megabytes() {
    local number sum
    sum=$(sha256sum <"$WORLD/megabyte")
    for ((number = 0; number < $1; number++)); do
        [ "$(inside client curl -s --fail --max-time 30 "$2/megabyte" | sha256sum)" = "$sum" ] ||
            return 1
    done
}

# counter NAME: the sum of a counter over all workers, wherever directorctl shows it.
counter() {
    { directorctl status --json; directorctl queues --json; } |
        jq -s --arg name "$1" '[.. | objects | .[$name]? | numbers] | add // 0'
}
