# Debian packages whose files are used without installing them, so that no service starts. To be sourced after lib.sh.
# shellcheck shell=bash

# unpack DIRECTORY PACKAGE...: downloads Debian packages and unpacks them there, without installing them.
unpack() {
    local directory=$1 scratch
    shift
    [ -e "$directory/done" ] && return 0
    scratch=$(mktemp -d)
    at_exit "rm -rf $scratch"
    chmod 755 "$scratch"
    say "fetching $*"
    (cd "$scratch" && apt-get "${APT_OPTIONS[@]}" download -q "$@" >/dev/null 2>&1) || return 1
    rm -rf "$directory"
    mkdir -p "$directory"
    local package
    for package in "$scratch"/*.deb; do
        dpkg-deb -x "$package" "$directory"
    done
    touch "$directory/done"
}
APT_OPTIONS=()
