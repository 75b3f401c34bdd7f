#!/usr/bin/env bash
# Instructions per packet, counted one by one: valgrind sees every instruction, also where a virtual machine has no
# processor counters, and its count does not depend on what else the machine is doing.

source "$(dirname "$0")/../scripts/lib.sh"

bench=$(cd "$ROOT" && cargo bench --quiet --package director --bench pipeline --no-run --message-format=json |
    jq -r 'select(.target.name == "pipeline" and .executable) | .executable' | tail -n 1)
[ -x "$bench" ] || die "there is no pipeline bench: run cargo bench --bench pipeline --no-run"

# count WHAT DETAIL BATCHES: instructions inside the worker in a run of so many batches.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*stand::poll*' \
        "$bench" --no-huge --only "$1" --detail "$2" --flows 1024 --batches "$3" 2>&1 >/dev/null |
        awk '/Collected/ { print $NF }'
}

printf '## instructions per packet, 1,024 flows\n\n| what | instr. |\n|---|---:|\n'
while IFS=, read -r what detail; do
    few=$(count "$what" "$detail" 2)
    many=$(count "$what" "$detail" 6)
    awk -v what="$what, $detail" -v few="$few" -v many="$many" \
        'BEGIN { printf "| %s | %.1f |\n", what, (many - few) / (4 * 2048) }'
done <<END
DR IPv4 udp,hit uniform 64
DR IPv4 tcp,hit uniform 64
NAT IPv4 udp,hit uniform 64
NAT IPv4 udp,reply uniform 64
TUN IPv4 udp,hit uniform 64
DR IPv6 udp,hit uniform 64
NAT IPv6 udp,hit uniform 64
TUN IPv6 udp,hit uniform 64
END
