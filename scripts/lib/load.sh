# Requests from the client, and what came of them. To be sourced by world.sh.
# shellcheck shell=bash

# fetch COUNT URL: makes that many requests, each on a new connection, twenty at a time. Prints every page.
fetch() {
    inside client curl -s --no-progress-meter --fail --max-time 20 -Z --parallel-max 20 "$2?[1-$1]"
}

# ask COUNT ADDRESS: asks that many DNS questions, each from a new port. Prints every answer.
ask() {
    local number
    for ((number = 0; number < $1; number++)); do
        inside client dig +short +time=2 +tries=2 @"$2" whoami.example.test TXT | tr -d '"'
    done
}

# even FILE COUNT SLACK: whether the file has COUNT answers, and each of the three servers gave a third of them, give
# or take SLACK. Prints the balance.
even() {
    sort "$1" | uniq -c | sed 's/^ */      /'
    awk -v count="$2" -v slack="$3" '
        { seen[$0]++ }
        END {
            for (server in seen) {
                servers++
                all += seen[server]
                off = seen[server] - count / 3
                if (off > slack || off < -slack) uneven = 1
            }
            exit !(servers == 3 && all == count && !uneven)
        }' "$1"
}

# megabytes COUNT URL: downloads the megabyte that many times. Every download must have the right checksum.
megabytes() {
    local number sum
    sum=$(sha256sum <"$WORLD/megabyte")
    for ((number = 0; number < $1; number++)); do
        [ "$(inside client curl -s --fail --max-time 30 "$2/megabyte" | sha256sum)" = "$sum" ] ||
            return 1
    done
}

# counter NAME: the sum of a counter over all workers, from `directorctl status` and `directorctl queues`.
counter() {
    { directorctl status --json; directorctl queues --json; } |
        jq -s --arg name "$1" '[.. | objects | .[$name]? | numbers] | add // 0'
}
