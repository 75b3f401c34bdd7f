#!/usr/bin/env bash
# SIGHUP applies the difference between two files. Connections stay. A bad file changes nothing.
source "$(dirname "$0")/begin.bash"

world_network
world_web
{
    world_config 1 no
    world_service tcp $VIP_NAT:80 masq 8080
} >"$WORLD/director.toml"
director_start

# A download of four seconds, which lasts over the reloads.
inside client curl -s --fail --max-time 60 --limit-rate 250k -o "$WORLD/slow" \
    "http://$VIP_NAT/megabyte" &
download=$!
wait_for "the download" test -s "$WORLD/slow"

listing() { ipvsadm -Sn; }
lists() { listing | grep -qF -- "$1"; }
hangup() { kill -HUP "$(pid_of director)"; }

world_service tcp $VIP_DR:80 route 80 >>"$WORLD/director.toml"
sed -i '0,/^method = "masq"$/s//method = "masq"\nweight = 7/' "$WORLD/director.toml"
hangup
wait_for "the new service" lists "-A -t $VIP_DR:80 -s rr"
check "a changed weight is applied" lists "-a -t $VIP_NAT:80 -r 192.168.10.11:8080 -m -w 7"
check "the new service works" says "server" inside client curl -s --max-time 5 "http://$VIP_DR/"

# On these links SYNs announce 1460 bytes.
printf '[tcp]\nmss_clamp = 1000\n' >>"$WORLD/director.toml"
check "no SYN was clamped so far" test "$(counter mss_clamped)" = 0
hangup
clamps() { inside client curl -s --max-time 5 "http://$VIP_NAT/" && [ "$(counter mss_clamped)" -gt 0 ]; }
wait_for "the first clamped SYN" clamps
check "megabytes in smaller segments are whole" megabytes 2 "http://$VIP_NAT"

listing >"$WORLD/before"
said=$(wc -l <"$WORLD/director.log")
cp "$WORLD/director.toml" "$WORLD/good.toml"
printf '[[service]]\nprotocol = "tcp"\naddress = "10.0.0.99:80"\nschedular = "rr"\n' \
    >>"$WORLD/director.toml"
hangup
complained() { tail -n +$((said + 1)) "$WORLD/director.log" | grep -q schedular; }
wait_for "the complaint about the bad file" complained
check "a bad file changes nothing" cmp "$WORLD/before" <(listing)

# A drain lies over the file: a reload that changes the destination leaves it.
drained() { ipvsadm -Ln -t $VIP_NAT:80 | grep -q "192.168.10.11:8080 *Masq *0 "; }
directorctl drain 192.168.10.11:8080
check "a drain takes the weight to 0 in the listing" drained
check "and leaves the weight in ipvsadm -S" lists "-r 192.168.10.11:8080 -m -w 7"
cp "$WORLD/good.toml" "$WORLD/director.toml"
sed -i '0,/^weight = 7$/s//weight = 5/' "$WORLD/director.toml"
hangup
wait_for "the changed weight" lists "-r 192.168.10.11:8080 -m -w 5"
check "the drain survives the reload" drained
check "directorctl shows the drain" says "drain (operator)" directorctl services
directorctl undrain 192.168.10.11
check "after undrain the weight is the one of the file" \
    says "Masq    5 " ipvsadm -Ln -t $VIP_NAT:80
unknown() { ! directorctl drain 192.168.10.99 2>"$WORLD/refusal" && grep -qF 192.168.10.99 "$WORLD/refusal"; }
check "a drain of an unknown server is refused" unknown

# A file on a disk that hangs holds up nothing but the reload. Here it is a pipe into which nobody writes yet.
mv "$WORLD/director.toml" "$WORLD/slow.toml"
mkfifo "$WORLD/director.toml"
hangup
check "the VIP answers pings while the file hangs" \
    quietly inside client ping -q -c 5 -i 0.2 -W 1 $VIP_NAT
check "and commands are carried out" ipvsadm -A -t $VIP_NAT:81 -s rr
check "the file can be read at last" \
    timeout 10 tee "$WORLD/director.toml" <"$WORLD/slow.toml" >/dev/null
went_on() { [ "$(grep -c 'the file was read without faults' "$WORLD/director.log")" -ge 4 ]; }
wait_for "the reload" went_on
ipvsadm -D -t $VIP_NAT:81
check "the longest turn of the control thread is shown" \
    says "longest turn of the control thread" directorctl status
rm "$WORLD/director.toml"

{
    world_config 1 no
    world_service tcp $VIP_NAT:80 masq 8080
} >"$WORLD/director.toml"
hangup
gone() { ! lists "$VIP_DR:80"; }
wait_for "the end of the second service" gone
check "the slow download survived every reload" wait $download
check "and is whole" cmp "$WORLD/slow" "$WORLD/megabyte"
check "SIGTERM ends the director with status 0" director_stop
conclude
