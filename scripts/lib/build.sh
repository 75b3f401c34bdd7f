# Packages, compiler, build. To be sourced by lib.sh.
# shellcheck shell=bash

# Which build the scripts run: release for the demo and for measuring, debug for tests.
: "${DIRECTOR_PROFILE:=release}"
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
export BIN=$TARGET/$DIRECTOR_PROFILE
export LAB=$TARGET/debug

# missing_packages PACKAGE...: prints those that are not installed. On other systems than Debian, none.
missing_packages() {
    local package
    command -v apt-get >/dev/null || return 0
    for package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || say "$package"
    done
}

# install_missing PACKAGE...: installs Debian packages that are not there yet.
install_missing() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "packages are missing: run sudo apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    apt_install "${missing[@]}" || { quietly apt-get update -q && apt_install "${missing[@]}"; } ||
        die "apt-get cannot install ${missing[*]}: check this machine's package sources"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive quietly apt-get install -y -q --no-install-recommends "$@"
}

# The Rust compiler.
need_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    command -v cargo >/dev/null && return
    install_missing build-essential ca-certificates curl
    say "installing Rust with rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y -q --profile minimal -c rustfmt -c clippy >/dev/null ||
        die "rustup cannot be reached: install Rust from https://rustup.rs by hand"
    PATH=$HOME/.cargo/bin:$PATH
}

# Whether DPDK is here, and libclang, which reads its headers.
has_dpdk() {
    quietly pkg-config --atleast-version=22.11 libdpdk && [ -z "$(missing_packages libclang-dev)" ]
}

# The Rust compiler, and DPDK with its headers.
need_toolchain() {
    need_rust
    install_missing build-essential libclang-dev libdpdk-dev pkg-config
    has_dpdk || die "DPDK 22.11 or newer is needed: run sudo apt-get install libdpdk-dev"
}

# The programs that the namespaces and the servers in them need.
need_lab() {
    install_missing bind9-dnsutils curl dnsmasq-base ethtool iperf3 iproute2 iputils-ping jq \
        nginx-light procps util-linux
    has_namespaces || die "this kernel does not allow network namespaces"
}

# Whether a network namespace can be made here.
has_namespaces() { quietly unshare --net true; }

# Builds the director in $DIRECTOR_PROFILE, and the programs for tests.
build() {
    local flags=()
    [ "$DIRECTOR_PROFILE" = release ] && flags=(--release)
    say "building ($DIRECTOR_PROFILE)"
    (cd "$ROOT" && cargo build --quiet "${flags[@]}" --package director --bins &&
        cargo build --quiet --package director-lab --bins) || die "the build failed"
}
