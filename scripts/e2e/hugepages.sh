#!/usr/bin/env bash
# Several scripts take hugepages at the same time. Each gets its own, and the machine is left as it was.
HERE=$(dirname "${BASH_SOURCE[0]}")
source "$HERE/../lib.sh"

need_root
if [ ! -w $HUGE ]; then
    skip "hugepages" "this kernel has none"
    conclude
    exit
fi
USERS=8 MEGABYTES=8
work=$(mktemp -d)
at_exit "rm -rf '$work'; huge_locked huge_settle || true"
pages=$(cat $HUGE)
mounts=$(grep -c ' hugetlbfs ' /proc/mounts || true)

# taker NUMBER: takes its share, waits for the others, and checks that its pages are still there.
taker() {
    (
        source "$HERE/../lib.sh"
        hugepages_take $MEGABYTES "$work/user$1"
        touch "$work/has$1"
        # Wait until all have their share. Then leave one by one, the highest number first.
        until [ "$(find "$work" -name 'has*' | wc -l)" = $USERS ] && [ ! -e "$work/user$(($1 + 1))" ]; do
            ((SECONDS < 60)) || exit 1
            sleep 0.02
        done
        (($(cat $HUGE) >= ($1 + 1) * MEGABYTES / 2)) || touch "$work/short"
        hugepages_restore "$work/user$1"
    )
}

together() {
    local number status=0 takers=()
    for ((number = 0; number < USERS; number++)); do
        taker $number &
        takers+=($!)
    done
    for number in "${takers[@]}"; do wait "$number" || status=1; done
    return $status
}

as_before() { [ "$(cat $HUGE)" = "$pages" ] && [ ! -e "$HUGE_BOOK" ] && [ "$(grep -c ' hugetlbfs ' /proc/mounts)" = "$mounts" ]; }

for round in 1 2 3; do
    rm -f "$work"/*
    check "$USERS users at once, round $round" together
    check "every user kept its pages to the end" test ! -e "$work/short"
    check "the machine is as before" as_before
done

# A user that died without giving back: its file is gone with its directory.
hugepages_take $MEGABYTES "$work/dead"
rm "$work/dead"
hugepages_take $MEGABYTES "$work/alive"
check "a dead user is struck out" test "$(grep -c '^user' "$HUGE_BOOK")" = 1
hugepages_restore "$work/alive"
check "the machine is as before" as_before
check "too much is refused" eval '! (hugepages_take 100000000 "$work/much") 2>/dev/null'
check "the machine is as before" as_before
conclude
