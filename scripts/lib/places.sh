# The namespaces of a world and the processes in them. To be sourced by world.sh.
# shellcheck shell=bash

# world_prepare NAME FOLDER: namespaces are called NAME-client and so on; FOLDER holds all files.
world_prepare() {
    WORLD_NAME=$1
    WORLD=$2
    mkdir -p "$WORLD/pids"
    chmod 755 "$WORLD"
    export DIRECTOR_SOCKET=$WORLD/control.sock
}

# inside PLACE COMMAND...: runs the command in that namespace.
inside() {
    local place=$1
    shift
    ip netns exec "$WORLD_NAME-$place" "$@"
}

# spawn NAME PLACE COMMAND...: starts a process in the background, with its output in NAME.log. world_down ends it.
spawn() {
    local name=$1 place=$2
    shift 2
    ip netns exec "$WORLD_NAME-$place" "$@" </dev/null >>"$WORLD/$name.log" 2>&1 &
    echo $! >"$WORLD/pids/$name"
}

pid_of() { cat "$WORLD/pids/$1"; }

# reap NAME: ends a process that spawn started. After ten seconds it is killed.
reap() {
    local pid tries
    [ -f "$WORLD/pids/$1" ] || return 0
    pid=$(pid_of "$1")
    rm -f "$WORLD/pids/$1"
    is_ours "$pid" || return 0
    kill "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# is_ours PID: whether the process is a child of this script or in one of the world's namespaces. A number left by
# --keep may belong to another process by now.
is_ours() {
    jobs -p | grep -qx "$1" || [[ $(ip netns identify "$1" 2>/dev/null) == "$WORLD_NAME-"* ]]
}

# wait_for WHAT COMMAND...: repeats the command until it succeeds, for at most 30 seconds.
wait_for() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        quietly "$@" && return
        sleep 0.05
    done
    die "$what did not come up within 30 seconds"
}

# Removes everything: processes, namespaces, hugepages, files.
world_down() {
    local file place
    [ -d "$WORLD" ] || return 0
    for file in "$WORLD"/pids/*; do
        [ -f "$file" ] && reap "${file##*/}"
    done
    for place in $(ip netns list | awk -v prefix="$WORLD_NAME-" 'index($1, prefix) == 1 { print $1 }'); do
        ip netns delete "$place"
    done
    rm -rf "/var/run/dpdk/$WORLD_NAME"
    hugepages_restore "$WORLD/hugepages"
    rm -rf "$WORLD"
}
