# Messages, steps at the end, checks. To be sourced by lib.sh.
# shellcheck shell=bash

set -Eeuo pipefail

say() { printf '%s\n' "$*"; }
title() { printf '\n== %s\n' "$*"; }
quietly() { "$@" >/dev/null 2>&1; }

# die SENTENCE: prints it and ends the script with status 1.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || die "network namespaces and raw sockets need root: run sudo $0"
}

# into FILE COMMAND...: runs the command with its output in a file. For use with check.
into() {
    local file=$1
    shift
    "$@" >"$file"
}

# ---- steps at the end ---------------------------------------------------------------------------

trap 'say "${0##*/}: \"$BASH_COMMAND\" failed in line $LINENO" >&2' ERR

EXIT_STEPS=()

# at_exit COMMAND: runs when the script ends, also after an error or a signal. The last one runs first.
at_exit() { EXIT_STEPS+=("$1"); }

run_exit_steps() {
    local status=$? step
    trap - EXIT ERR
    # A second Ctrl-C must not interrupt the cleaning.
    trap '' INT TERM HUP
    set +e
    for ((step = ${#EXIT_STEPS[@]} - 1; step >= 0; step--)); do
        eval "${EXIT_STEPS[step]}"
    done
    exit "$status"
}
trap run_exit_steps EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# bounded SECONDS COMMAND...: runs the command for at most so long. If this script is interrupted, the command is too.
bounded() {
    local seconds=$1 status=0
    shift
    timeout "$seconds" "$@" &
    BOUNDED=$!
    wait "$BOUNDED" || status=$?
    BOUNDED=
    [ $status != 124 ] || say "      stopped after $seconds seconds: $*"
    return $status
}
BOUNDED=
at_exit '[ -z "$BOUNDED" ] || { kill "$BOUNDED" 2>/dev/null; wait "$BOUNDED"; }'

# ---- checks -------------------------------------------------------------------------------------

PASSES=0
FAILURES=0
SKIPS=()

# check WHAT COMMAND...: prints whether the command succeeded, and counts it.
check() {
    local what=$1
    shift
    if "$@"; then
        say "ok    $what"
        PASSES=$((PASSES + 1))
    else
        say "FAIL  $what"
        FAILURES=$((FAILURES + 1))
    fi
}

# skip WHAT WHY: prints that something cannot run here, and counts it.
skip() {
    say "skip  $1: $2"
    SKIPS+=("$1")
}

# conclude: prints the counts. Status 1 if a check failed. To be called last.
conclude() {
    say "checks: $PASSES passed, $FAILURES failed"
    [ "$FAILURES" = 0 ] || die "$FAILURES checks failed"
    if [ ${#SKIPS[@]} = 0 ]; then
        say "${0##*/}: all well"
    else
        say "${0##*/}: all well, but not everything ran; skipped: $(printf '%s, ' "${SKIPS[@]}" | sed 's/, $//')"
    fi
}
