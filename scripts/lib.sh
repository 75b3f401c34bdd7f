# What every script needs. To be sourced by bash.
# shellcheck shell=bash
#
#   lib/base.sh        messages, steps at the end, checks
#   lib/build.sh       packages, compiler, build
#   lib/hugepages.sh   hugepages for the time of a run
#
# Scripts that build a network source world.sh too.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=SCRIPTDIR/lib/base.sh
source "$ROOT/scripts/lib/base.sh"
# shellcheck source=SCRIPTDIR/lib/build.sh
source "$ROOT/scripts/lib/build.sh"
# shellcheck source=SCRIPTDIR/lib/hugepages.sh
source "$ROOT/scripts/lib/hugepages.sh"
