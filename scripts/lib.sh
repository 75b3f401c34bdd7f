# What every script here needs: the build, the packages, clean ends. To be sourced by bash.
# shellcheck shell=bash

set -Eeuo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Which build the scripts run: release for the demonstration and for measuring, debug for tests.
: "${DIRECTOR_PROFILE:=release}"
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
export BIN=$TARGET/$DIRECTOR_PROFILE
export LAB=$TARGET/debug

say() { printf '%s\n' "$*"; }
title() { printf '\n== %s\n' "$*"; }

# die SENTENCE: the script ends here.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

trap 'say "${0##*/}: \"$BASH_COMMAND\" failed in line $LINENO" >&2' ERR

# ---- ends -------------------------------------------------------------------------------------

EXIT_STEPS=()

# at_exit COMMAND: run when the script ends, however it ends; the last one first.
at_exit() { EXIT_STEPS+=("$1"); }

run_exit_steps() {
    local status=$? step
    trap - EXIT ERR INT TERM HUP
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

# ---- what the machine must have -----------------------------------------------------------------

need_root() {
    [ "$(id -u)" = 0 ] || die "network namespaces and raw sockets need root: run sudo $0"
}

# install_missing PACKAGE...: Debian packages, those that are there already left alone.
install_missing() {
    local package missing=()
    command -v apt-get >/dev/null || return 0 # not Debian: what is missing will tell
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    [ "$(id -u)" = 0 ] || die "packages are missing: run sudo apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        "${missing[@]}" >/dev/null 2>&1 ||
        { apt-get update -q >/dev/null 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
                "${missing[@]}" >/dev/null; } ||
        die "apt-get cannot install ${missing[*]}: check this machine's package sources"
}

# The compiler, and DPDK with its headers.
need_toolchain() {
    install_missing build-essential ca-certificates curl libclang-dev libdpdk-dev pkg-config
    pkg-config --atleast-version=22.11 libdpdk ||
        die "DPDK 22.11 or newer is needed: run sudo apt-get install libdpdk-dev"
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    if ! command -v cargo >/dev/null; then
        say "installing Rust with rustup"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y -q --profile minimal -c rustfmt -c clippy >/dev/null ||
            die "rustup cannot be reached: install Rust from https://rustup.rs by hand"
        PATH=$HOME/.cargo/bin:$PATH
    fi
}

# What the namespaces and the programs in them need.
need_lab() {
    install_missing bind9-dnsutils curl dnsmasq-base ethtool iperf3 iproute2 iputils-ping jq \
        nginx-light procps util-linux
    ip netns list >/dev/null 2>&1 || die "this kernel has no network namespaces"
}

# Builds the director in $DIRECTOR_PROFILE, and the programs around it.
build() {
    local flags=()
    [ "$DIRECTOR_PROFILE" = release ] && flags=(--release)
    say "building ($DIRECTOR_PROFILE)"
    (cd "$ROOT" && cargo build --quiet "${flags[@]}" --package director --bins &&
        cargo build --quiet --package director-lab --bins) || die "the build failed"
}

# ---- hugepages ----------------------------------------------------------------------------------

HUGE=/proc/sys/vm/nr_hugepages
# What scripts that run at the same time have taken together: one line `base PAGES FREE` for how it was before the
# first of them, one `user PAGES FILE` for each of them. Whoever reads or writes it holds HUGE_LOCK.
HUGE_BOOK=/run/director-hugepages
HUGE_LOCK=$HUGE_BOOK.lock

# hugepages_take MEGABYTES FILE: makes that much of 2 MB pages free and a place to map them from, whoever else takes some
# at the same time. FILE, made here, says that they are in use: who removes it has given them back.
hugepages_take() {
    [ -w $HUGE ] || die "this kernel gives no hugepages: add --no-huge"
    exec {HUGE_HELD}>"$HUGE_LOCK"
    flock "$HUGE_HELD"
    local outcome=0
    huge_join "$1" "$2" || outcome=$?
    exec {HUGE_HELD}>&-
    [ $outcome = 0 ] || die "the kernel cannot spare $1 MB for hugepages: free some memory or add --no-huge"
}

# hugepages_restore FILE: what FILE stands for is given back; after the last user all is as it was before the first.
hugepages_restore() {
    [ -f "$1" ] || return 0
    exec {HUGE_HELD}>"$HUGE_LOCK"
    flock "$HUGE_HELD"
    rm -f "$1"
    huge_settle || true
    exec {HUGE_HELD}>&-
}

# The rest with the lock held.

huge_free() { awk '/^HugePages_Free/ { print $2 }' /proc/meminfo; }

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

# Strikes out users that are gone and brings the kernel's pages to what the others need. Status 1 if it has not so many.
huge_settle() {
    local what pages rest base=0 free=0 users=0 needed=0 kept=()
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
    local goal=$((needed > free ? base + needed - free : base))
    echo "$goal" >$HUGE
    if [ $users = 0 ]; then
        if grep -q '^mounted' "$HUGE_BOOK"; then umount /dev/hugepages; fi
        rm -f "$HUGE_BOOK"
        return
    fi
    printf '%s\n' "${kept[@]}" >"$HUGE_BOOK"
    (($(cat $HUGE) >= goal))
}

# ---- assertions ---------------------------------------------------------------------------------

PASSES=0
FAILURES=0

# check WHAT COMMAND...: says whether the command succeeded, and counts it.
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

# into FILE COMMAND...: the command with its output in a file; for check.
into() {
    local file=$1
    shift
    "$@" >"$file"
}

quietly() { "$@" >/dev/null 2>&1; }

# To be called last.
conclude() {
    say "checks: $PASSES passed, $FAILURES failed"
    [ "$FAILURES" = 0 ] || die "$FAILURES checks failed"
    say "${0##*/}: all well"
}
