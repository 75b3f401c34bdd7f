# A small network in namespaces around a director. To be sourced after lib.sh.
# shellcheck shell=bash
#
#   client --- router --- wan [director] lan ---+--- server 1, 2, 3
#                  \____________________________/
#
# The router joins the client's network, the director's wan side and the servers' network, as the switch of a data
# centre does. So answers by DR and TUN reach the client without passing the director.
#
#   lib/places.sh      the namespaces and the processes in them
#   lib/net.sh         cables, addresses, routes
#   lib/servers.sh     nginx, dnsmasq, ends of tunnels
#   lib/director.sh    configuration, start, stop, the tools
#   lib/load.sh        requests from the client, and what came of them

export CLIENT=10.1.0.2
export VIP_DR=10.0.0.100 VIP_NAT=10.0.0.101 VIP_TUN=10.0.0.102 VIP_DNS=10.0.0.103
export VIP6_DR=fd00:a::100 VIP6_NAT=fd00:a::101

# shellcheck source=SCRIPTDIR/lib/places.sh
source "$ROOT/scripts/lib/places.sh"
# shellcheck source=SCRIPTDIR/lib/net.sh
source "$ROOT/scripts/lib/net.sh"
# shellcheck source=SCRIPTDIR/lib/servers.sh
source "$ROOT/scripts/lib/servers.sh"
# shellcheck source=SCRIPTDIR/lib/director.sh
source "$ROOT/scripts/lib/director.sh"
# shellcheck source=SCRIPTDIR/lib/load.sh
source "$ROOT/scripts/lib/load.sh"
