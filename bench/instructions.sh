#!/usr/bin/env bash
# Counts instructions per packet with valgrind, which sees every instruction. It also works in a virtual machine without
# processor counters, and the counts do not depend on other load.
#
#   bench/instructions.sh [--quick] [--ceilings] [--json FILE]
#
#   --quick      only the first two rows
#   --ceilings   fails if a count is above its ceiling
#
# The rows and their ceilings are in bench/ceilings.toml.

source "$(dirname "$0")/../scripts/lib.sh"

quick='' ceilings='' json=/dev/null
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=1 ;;
        --ceilings) ceilings=1 ;;
        --json) json=$2 && shift ;;
        *) die "$1 is unknown; there are --quick, --ceilings and --json" ;;
    esac
    shift
done
[ "$(id -u)" != 0 ] || install_missing jq valgrind
command -v jq valgrind >/dev/null || die "jq and valgrind are needed: run sudo apt-get install jq valgrind"
work=$(mktemp -d)
at_exit "rm -rf '$work'"

bench=$(cd "$ROOT" && cargo bench --quiet --package director --bench pipeline --no-run --message-format=json |
    jq -r 'select(.target.name == "pipeline" and .executable) | .executable' | tail -n 1)
[ -x "$bench" ] || die "the pipeline bench cannot be built: run cargo bench --bench pipeline --no-run"

# rows: prints `KIND|NAME|CEILING` for each line of the ceilings.
rows() {
    awk -F'"' '
        /^\[/ { kind = substr($0, 2, length($0) - 2) }
        /^"/ { sub(/^ *= */, "", $3); print kind "|" $2 "|" $3 }' "$ROOT/bench/ceilings.toml"
}

# count NAME BATCHES: prints the instructions inside the worker during a run of that many batches.
count() {
    local name=${1%%, *} detail=''
    [[ $1 != *', '* ]] || detail=${1#*, }
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*bench_setup::poll*' \
        "$bench" --no-huge --only "$name" --detail "$detail" --flows 1024 --batches "$2" 2>&1 >/dev/null |
        awk '/Collected/ { print $NF }'
}

# each KIND NAME: prints the instructions for one packet or one conversation: the difference of two runs that differ by
# four batches of 2,048 packets, or by sixteen of 341 conversations.
each() {
    local few many divisor
    case $1 in
        packet) divisor=$((4 * 2048)) ;;
        conversation) divisor=$((16 * 341)) ;;
    esac
    few=$(count "$2" 2)
    many=$(count "$2" 6)
    [ "${many:-0}" -gt "${few:-0}" ] ||
        die "no instructions were counted for '$2': does bench/support/bench_setup.rs still have the function poll?"
    awk -v few="$few" -v many="$many" -v divisor=$divisor 'BEGIN { printf "%.1f", (many - few) / divisor }'
}

# within COUNT CEILING: whether the count is at most the ceiling.
within() { awk -v count="$1" -v ceiling="$2" 'BEGIN { exit !(count > 0 && count <= ceiling) }'; }

mapfile -t rows < <(rows)
[ -z "$quick" ] || rows=("${rows[@]:0:2}")
printf '## instructions per packet, 1,024 flows; per conversation of six packets\n\n'
printf '| what | instr. | ceiling |\n|---|---:|---:|\n'
for row in "${rows[@]}"; do
    IFS='|' read -r kind name ceiling <<<"$row"
    count=$(each "$kind" "$name")
    printf '| %s | %s | %s |\n' "$name" "$count" "$ceiling"
    within "$count" "$ceiling" || printf '%s\n' "$name: $count, ceiling $ceiling" >>"$work/above"
    jq -n --arg name "$name" --argjson instructions "$count" --argjson ceiling "$ceiling" \
        '{name: $name, instructions: $instructions, ceiling: $ceiling}' >>"$work/rows"
done
jq -s '{bench: "instructions", unit: "instructions per packet or conversation", rows: .}' "$work/rows" >"$json"
if [ -n "$ceilings" ] && [ -e "$work/above" ]; then
    cat "$work/above"
    die "more instructions than bench/ceilings.toml allows"
fi
