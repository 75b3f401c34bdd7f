# Hugepages for the time of a run. To be sourced by lib.sh.
# shellcheck shell=bash
#
# Scripts that run at the same time share the kernel's pool of 2 MB pages. HUGE_BOOK says who has taken how many:
#
#   base PAGES FREE      the pool before the first of them
#   user PAGES FILE      one line each; the user is gone when FILE is gone
#   mounted FOLDER       the first of them mounted the file system there
#
# Every access holds HUGE_LOCK. After the last user the pool is as it was before the first.

HUGE=/proc/sys/vm/nr_hugepages
HUGE_BOOK=/run/director-hugepages
HUGE_LOCK=$HUGE_BOOK.lock

# hugepages_take MEGABYTES FILE: reserves that much in 2 MB pages, and makes FILE, which stands for the reservation.
hugepages_take() {
    [ -w $HUGE ] || die "this kernel has no hugepages: add --no-huge"
    huge_locked huge_join "$1" "$2" ||
        die "the kernel cannot spare $1 MB for hugepages: free some memory or add --no-huge"
}

# hugepages_restore FILE: ends the reservation that FILE stands for.
hugepages_restore() {
    [ -f "$1" ] || return 0
    rm -f "$1"
    huge_locked huge_settle || true
}

# Whether hugepages_take could reserve that many megabytes.
hugepages_available() {
    [ -w $HUGE ] || return 1
    local probe
    probe=$(mktemp)
    (hugepages_take "$1" "$probe") 2>/dev/null || { rm -f "$probe" && return 1; }
    hugepages_restore "$probe"
}

huge_free() { awk '/^HugePages_Free/ { print $2 }' /proc/meminfo; }

huge_locked() { # COMMAND...
    local held outcome=0
    exec {held}>"$HUGE_LOCK"
    flock "$held"
    "$@" || outcome=$?
    exec {held}>&-
    return $outcome
}

# ---- with the lock held -------------------------------------------------------------------------

huge_join() { # MEGABYTES FILE
    local wanted=$(($1 / 2))
    [ -f "$HUGE_BOOK" ] || echo "base $(cat $HUGE) $(huge_free)" >"$HUGE_BOOK"
    if ! grep -q ' hugetlbfs ' /proc/mounts; then
        mkdir -p /dev/hugepages
        mount -t hugetlbfs hugetlbfs /dev/hugepages
        echo "mounted /dev/hugepages" >>"$HUGE_BOOK"
    fi
    echo "$2" >"$2"
    echo "user $wanted $2" >>"$HUGE_BOOK"
    huge_settle && (($(huge_free) >= wanted)) && return
    rm -f "$2"
    huge_settle || true
    return 1
}

# Removes users that are gone, and resizes the pool to what the others need. Status 1 if the kernel has not enough.
huge_settle() {
    local what pages rest base=0 free=0 users=0 needed=0 outcome=0 kept=()
    [ -f "$HUGE_BOOK" ] || return 0
    while read -r what pages rest; do
        case $what in
            base) base=$pages free=$rest ;;
            user)
                [ -f "$rest" ] || continue
                users=$((users + 1)) needed=$((needed + pages))
                ;;
        esac
        kept+=("$what $pages $rest")
    done <"$HUGE_BOOK"
    huge_resize $((needed > free ? base + needed - free : base)) || outcome=1
    if [ $users = 0 ]; then
        if grep -q '^mounted' "$HUGE_BOOK"; then umount /dev/hugepages; fi
        rm -f "$HUGE_BOOK"
        return
    fi
    printf '%s\n' "${kept[@]}" >"$HUGE_BOOK"
    return $outcome
}

# huge_resize PAGES: memory may be free but scattered, so it is compacted and asked for again.
huge_resize() {
    local tries
    for ((tries = 0; tries < 5; tries++)); do
        echo "$1" >$HUGE
        (($(cat $HUGE) < $1)) || return 0
        echo 1 >/proc/sys/vm/compact_memory || true
    done
    return 1
}
