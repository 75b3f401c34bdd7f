# The director: configuration, start, stop, the tools. To be sourced by world.sh.
# shellcheck shell=bash

# world_config WORKERS HUGE: prints director.toml without services. HUGE is `huge` or `no`.
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

# world_service PROTOCOL ADDRESS METHOD PORT: prints a service with round robin over the three servers.
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

# Starts directord with $WORLD/director.toml in its namespace, and waits until it is ready.
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

# Ends directord as an operator does. The status is its exit status.
director_stop() {
    local pid
    pid=$(pid_of director)
    kill -TERM "$pid"
    rm -f "$WORLD/pids/director"
    wait "$pid"
}

ipvsadm() { "$BIN/ipvsadm" "$@"; }
directorctl() { "$BIN/directorctl" "$@"; }
