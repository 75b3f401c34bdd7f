# Begins an end-to-end test: makes a world, which is removed when the test ends, also after an error. To be sourced.
# shellcheck shell=bash

DIRECTOR_PROFILE=${DIRECTOR_PROFILE:-debug}
HERE=$(dirname "${BASH_SOURCE[0]}")
source "$HERE/../lib.sh"
source "$HERE/../world.sh"

need_root
need_lab
[ -x "$BIN/directord" ] && [ -x "$LAB/decap" ] || build
world_prepare "director-e2e-$$" "/run/director-e2e-$$"
at_exit world_down

# Prints the number of listed connections.
connections() { ipvsadm -Lnc | tail -n +3 | wc -l; }

# says TEXT COMMAND...: whether the command succeeds and prints the text.
says() {
    local text=$1 output
    shift
    output=$("$@") && grep -qF -- "$text" <<<"$output"
}
