#!/usr/bin/env bash
# Instructions per packet, counted one by one: valgrind sees every instruction, also where a virtual machine has no
# processor counters, and its count does not depend on what else the machine is doing.
#
#   bench/instructions.sh [--quick] [--json FILE]

source "$(dirname "$0")/../scripts/lib.sh"

quick='' json=/dev/null
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1 ;;
        --json) json=$2 && shift ;;
        *) die "$1 is unknown; there are --quick and --json" ;;
    esac
    shift
done
work=$(mktemp -d)
at_exit "rm -rf '$work'"

bench=$(cd "$ROOT" && cargo bench --quiet --package director --bench pipeline --no-run --message-format=json |
    jq -r 'select(.target.name == "pipeline" and .executable) | .executable' | tail -n 1)
[ -x "$bench" ] || die "there is no pipeline bench: run cargo bench --bench pipeline --no-run"

# count WHAT DETAIL BATCHES: instructions inside the worker in a run of so many batches.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*stand::poll*' \
        "$bench" --no-huge --only "$1" --detail "$2" --flows 1024 --batches "$3" 2>&1 >/dev/null |
        awk '/Collected/ { print $NF }'
}

# What is counted: a name in the pipeline's table, and a detail.
kinds() {
    cat <<END
DR IPv4 udp,hit uniform 64
DR IPv4 tcp,hit uniform 64
NAT IPv4 udp,hit uniform 64
NAT IPv4 udp,reply uniform 64
TUN IPv4 udp,hit uniform 64
DR IPv6 udp,hit uniform 64
NAT IPv6 udp,hit uniform 64
TUN IPv6 udp,hit uniform 64
END
}

printf '## instructions per packet, 1,024 flows\n\n| what | instr. |\n|---|---:|\n'
while IFS=, read -r what detail; do
    few=$(count "$what" "$detail" 2)
    many=$(count "$what" "$detail" 6)
    each=$(awk -v few="$few" -v many="$many" 'BEGIN { printf "%.1f", (many - few) / (4 * 2048) }')
    printf '| %s, %s | %s |\n' "$what" "$detail" "$each"
    jq -n --arg name "$what" --arg detail "$detail" --argjson instructions "$each" \
        '{name: $name, detail: $detail, instructions: $instructions}' >>"$work/rows"
done < <(if [ -n "$quick" ]; then kinds | head -n 2; else kinds; fi)
jq -s '{bench: "instructions", unit: "instructions per packet, 1,024 flows", rows: .}' "$work/rows" >"$json"
