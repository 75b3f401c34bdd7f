#!/usr/bin/env bash
# Compares directord with DPDK's testpmd on the same device and core. net_pcap repeats the frames of a capture file and drops
# sent frames. The two run in alternation, so that other load on the machine affects both alike.
#
#   bench/device.sh [--huge] [--rounds N] [--seconds N] [--json FILE] [FLOWS...]

source "$(dirname "$0")/../scripts/lib.sh"

rounds=5 seconds=3 json=/dev/null huge='' sizes=()
while [ $# -gt 0 ]; do
    case $1 in
        --huge) huge=1 ;;
        --rounds) rounds=$2 && shift ;;
        --seconds) seconds=$2 && shift ;;
        --json) json=$2 && shift ;;
        *) sizes+=("$1") ;;
    esac
    shift
done
[ ${#sizes[@]} -gt 0 ] || sizes=(1024 16384 1000000)

work=$(mktemp -d)
at_exit "rm -rf '$work'"
last=$(($(nproc) - 1))
# The MAC address of net_pcap0.
mac=02:70:63:61:70:00
# Ends the director if the script is interrupted.
at_exit '[ ! -f "$work/pid" ] || kill "$(cat "$work/pid")" 2>/dev/null'

# megabytes FLOWS: memory for one mbuf per flow, which net_pcap keeps, and a reserve.
megabytes() { echo $((192 + ($1 + 40000) / 410)); }

# testpmd MODE FLOWS: prints packets per second.
testpmd() {
    local memory=(--in-memory)
    [ -n "$huge" ] || memory=(--no-huge --no-shconf)
    # It prints its rate every second until SIGINT ends it.
    # A capture file of a million packets takes seconds to load.
    timeout --signal=INT $((seconds + 3 + $2 / 200000)) dpdk-testpmd -l "0,$last" --main-lcore 0 "${memory[@]}" \
        -m "$(megabytes "$2")" --no-pci --no-telemetry --file-prefix="bench-$$" --log-level='*:error' \
        --vdev "net_pcap0,rx_pcap=$work/$2.pcap,infinite_rx=1" -- \
        --auto-start --forward-mode="$1" --nb-cores=1 --stats-period=1 \
        --total-num-mbufs=$(($2 + 16384)) >"$work/testpmd" 2>&1 || true
    # The first second includes the start.
    awk '/Tx-pps:/ && $2 > 0 { print $2 }' "$work/testpmd" | tail -n +2 | sort -n |
        awk '{ rate[NR] = $1 } END { print rate[int((NR + 1) / 2)] + 0 }'
}

configuration() {
    local flows=$1 server
    cat <<END
[director]
socket = "$work/control.sock"

[dpdk]
cores = [$last]
control_core = 0
no_huge = $([ -n "$huge" ] && echo false || echo true)
memory_mb = $(megabytes "$flows")
vdevs = ["net_pcap0,rx_pcap=$work/$flows.pcap,infinite_rx=1"]
file_prefix = "bench-$$"
mbufs = $((flows + 16384))

[tables]
connections = $((flows > 1048576 ? flows : 1048576))
connections_ipv6 = 1024

[[port]]
name = "wan0"
device = "net_pcap0"
addresses = ["10.0.0.1/24"]

[[service]]
protocol = "udp"
address = "10.0.0.100:80"
scheduler = "rr"
END
    for server in {11..26}; do
        printf '\n[[service.destination]]\naddress = "10.0.0.%d:80"\n' "$server"
    done
    for server in {11..26}; do
        printf '\n[[neighbour]]\nport = "wan0"\naddress = "10.0.0.%d"\nmac = "02:00:00:00:01:%02x"\n' \
            "$server" "$server"
    done
}

# sent: prints the number of frames that the director has sent, and the time.
sent() {
    "$BIN/directorctl" --socket "$work/control.sock" queues --json |
        jq '[.. | objects | select(has("tx_packets")) | .tx_packets] | add'
    date +%s.%N
}

# director FLOWS: prints packets per second.
director() {
    local pid before after
    configuration "$1" >"$work/director.toml"
    "$BIN/directord" --config "$work/director.toml" >"$work/directord" 2>&1 &
    pid=$!
    echo $pid >"$work/pid"
    for _ in {1..100}; do
        [ -S "$work/control.sock" ] && break
        kill -0 "$pid" 2>/dev/null || die "directord ended: $(tail -n 3 "$work/directord")"
        sleep 0.1
    done
    # Time for every flow to get its connection.
    sleep 2
    mapfile -t before < <(sent)
    sleep $seconds
    mapfile -t after < <(sent)
    "$BIN/directorctl" --socket "$work/control.sock" queues --json >"$work/queues.json"
    kill "$pid"
    wait "$pid" || true
    rm -f "$work/control.sock" "$work/pid"
    awk -v a="${before[0]}" -v b="${after[0]}" -v from="${before[1]}" -v to="${after[1]}" \
        'BEGIN { printf "%.0f\n", (b - a) / (to - from) }'
}

printf '## device: packets per second, 64 octets, one worker on net_pcap\n\n'
printf '%s, %s CPUs, %s, %s\n\n' "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
    "DPDK $(pkg-config --modversion libdpdk)" "$([ -n "$huge" ] && echo hugepages || echo 'no hugepages')"
printf '| flows | io | macswap | director | director/macswap min | median | max |\n'
printf '|---:|---:|---:|---:|---:|---:|---:|\n'
for flows in "${sizes[@]}"; do
    "$BIN/traffic" "$work/$flows.pcap" --flows "$flows" --mac $mac
    for ((round = 0; round < rounds; round++)); do
        jq -n --argjson flows "$flows" --argjson io "$(testpmd io "$flows")" \
            --argjson director "$(director "$flows")" --argjson macswap "$(testpmd macswap "$flows")" \
            '{flows: $flows, io: $io, macswap: $macswap, director: $director, ratio: ($director / $macswap)}'
    done >"$work/$flows.json"
    rm -f "$work/$flows.pcap"
    jq -rs 'def middle: sort | .[length / 2 | floor];
        "| \(.[0].flows) | \(map(.io) | middle) | \(map(.macswap) | middle) | \(map(.director) | middle) | " +
        (map(.ratio) | "\(min * 1000 | round / 1000) | \(middle * 1000 | round / 1000) | \(max * 1000 | round / 1000) |")' \
        "$work/$flows.json"
done
cat "$work"/[0-9]*.json | jq -s . >"$json"
