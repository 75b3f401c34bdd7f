# What happens to a director's packets and polls during a command. To be sourced after lib.sh.
# shellcheck shell=bash disable=SC2154 # the script sets what is listed below
#
# The script sets DIRECTOR (the process), FACTOR (multiplies limits on time) and work (a folder).

now() { date +%s.%N; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }
times() { awk -v a="$1" -v b="$2" 'BEGIN { print a * b }'; }

# reading: reads all counters into READING. They move while they are read, received packets before sent ones. So it reads
# five times and keeps the reading with the fewest packets sent in between.
reading() {
    local tries
    for ((tries = 0; tries < 5; tries++)); do read_once; done >"$work/readings"
    READING=$(jq -sc 'max_by(.rx - .tx)' "$work/readings")
}

read_once() {
    local switches
    switches=$(cat "/proc/$DIRECTOR/task/"*/status | awk '
        /^Name:/ { worker = $2 ~ /worker/ }
        /^nonvoluntary/ && worker { sum += $2 } END { print sum + 0 }')
    { "$BIN/directorctl" status --json; "$BIN/directorctl" queues --json; } |
        jq -sc --argjson time "$(now)" --argjson switches "$switches" '
        def all(name): [.. | objects | .[name]? | numbers] | add // 0;
        {time: $time, switches: $switches, rx: all("rx_packets"), tx: all("tx_packets"),
         drops: ([.. | objects | .drops? | objects | .[]] | add // 0),
         over20: all("polls_over_20us"), over100: all("polls_over_100us"), over1000: all("polls_over_1000us")}'
}

# phase NAME COMMAND...: runs the command between two readings, and prints what happened to the packets meanwhile. The
# status is the command's.
phase() {
    local name=$1 before after status=0
    shift
    reading
    before=$READING
    "$@" || status=1
    reading
    after=$READING
    PHASE=$(jq -nc --argjson a "$before" --argjson b "$after" '
        ($b.time - $a.time) as $s
        | {seconds: $s, rate: (($b.tx - $a.tx) / $s), drops: ($b.drops - $a.drops),
           missing: (($b.rx - $a.rx) - ($b.tx - $a.tx)),
           over20: (($b.over20 - $a.over20) / $s), over100: (($b.over100 - $a.over100) / $s),
           over1000: (($b.over1000 - $a.over1000) / $s), switches: (($b.switches - $a.switches) / $s)}
        | .own = ([.over20 - .switches, 0] | max)')
    jq -r --arg name "$name" '
        "      \($name): \(.seconds * 10 | round / 10) s, \(.rate / 1e6 * 100 | round / 100) Mpps, \(.drops) dropped; " +
        "polls a second over 20 us \(.over20 * 10 | round / 10), 100 us \(.over100 * 10 | round / 10), " +
        "1 ms \(.over1000 * 10 | round / 10); preempted \(.switches * 10 | round / 10) times a second"' <<<"$PHASE"
    return $status
}

# alone SECONDS: measures what this machine does to the worker while the director has no commands to handle.
alone() {
    phase "nothing else" sleep "$1"
    ALONE=$PHASE
}

# steady: whether long polls are no more frequent than without commands, preemptions by the kernel not counted. Commands come
# a hundred times a second, so one stall for each would show.
steady() {
    jq -r '"      polls over 20 us without a preemption: \(.own * 10 | round / 10) a second"' <<<"$PHASE"
    jq -e --argjson alone "$ALONE" --argjson factor "$FACTOR" '.own <= $factor * ($alone.own * 1.5 + 25)' \
        >/dev/null <<<"$PHASE"
}

# lossless: whether no packet was dropped and every received packet was sent, except for bursts in flight at the readings.
# More packets are sent than received when new virtual addresses are announced.
lossless() { jq -e '.drops == 0 and .missing <= 64' >/dev/null <<<"$PHASE"; }

# timed NAME LIMIT COMMAND...: whether the command succeeds within LIMIT seconds.
timed() {
    local name=$1 limit=$2 started ended
    shift 2
    started=$(now)
    "$@" || return
    ended=$(now)
    awk -v name="$name" -v a="$started" -v b="$ended" 'BEGIN { printf "      %s: %.2f s\n", name, b - a }'
    less "$(awk -v a="$started" -v b="$ended" 'BEGIN { print b - a }')" "$(times "$limit" "$FACTOR")"
}

# swift NAME MILLISECONDS ARGUMENT...: whether the median of a stopwatch run is within the limit.
swift() {
    local name=$1 limit=$2
    shift 2
    "$LAB/stopwatch" "$@" >"$work/times" || return
    jq -r --arg name "$name" '"      \($name): shortest \(.min / 1000) ms, median \(.median / 1000) ms, 99 % \(.p99 / 1000) ms, longest \(.max / 1000) ms"' \
        "$work/times"
    less "$(jq .median "$work/times")" "$(times $((limit * 1000)) "$FACTOR")"
}
