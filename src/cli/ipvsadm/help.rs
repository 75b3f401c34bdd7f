//! The texts of `-v` and `-h`.

/// The ipvsadm version whose commands and listings are implemented, as scripts look for it.
pub(super) const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";

pub(super) const USAGE: &str = "\
Usage:
  ipvsadm -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe engine] [-o] [-b sched-flags]
  ipvsadm -D virtual-service
  ipvsadm -C
  ipvsadm -R
  ipvsadm -S [-n]
  ipvsadm -a|e virtual-service -r server-address [options]
  ipvsadm -d virtual-service -r server-address
  ipvsadm -L|l [virtual-service] [options]
  ipvsadm -Z [virtual-service]
  ipvsadm --set tcp tcpfin udp
  ipvsadm --start-daemon {master|backup} [daemon-options]
  ipvsadm --stop-daemon {master|backup}
  ipvsadm -h

Commands:
The long and the short form of an option mean the same. The command comes first.
  --add-service     -A        make a virtual service
  --edit-service    -E        replace the attributes of a virtual service
  --delete-service  -D        remove a virtual service and its servers
  --clear           -C        remove all virtual services
  --restore         -R        carry out commands from standard input
  --save            -S        print the table as commands for -R
  --add-server      -a        give a virtual service a server
  --edit-server     -e        replace the attributes of a server
  --delete-server   -d        take a server from a virtual service
  --list            -L|-l     show services, connections, timeouts or daemons
  --zero            -Z        start the counters of one or all services from zero
  --set tcp tcpfin udp        set the timeouts of connections, in seconds
  --start-daemon              start synchronising connections
  --stop-daemon               stop synchronising connections
  --help            -h        show this text

virtual-service:
  --tcp-service|-t  service-address   TCP service at host[:port]
  --udp-service|-u  service-address   UDP service at host[:port]
  --sctp-service    service-address   SCTP service at host[:port]
  --fwmark-service|-f mark            packets with this firewall mark, 1 or more

Options:
  --ipv6         -6                   the mark given before is for IPv6
  --scheduler    -s scheduler         one of rr|wrr|lc|wlc|lblc|lblcr|dh|sh|sed|nq|fo|ovf|mh|twos,
                                      wlc if not given
  --pe            engine              persistence by more than the address: sip
  --persistent   -p [timeout]         clients stay with their server, 360 seconds if not given
  --netmask      -M netmask           which part of the address makes a client
  --real-server  -r server-address    the server at host[:port]
  --gatewaying   -g                   forward by direct routing, the default
  --ipip         -i                   forward through a tunnel
  --masquerading -m                   forward by address translation
  --tun-type      type                kind of tunnel: ipip (the default), gue or gre
  --tun-port      port                port gue tunnels end at
  --tun-nocsum                        tunnel packets carry no checksum
  --tun-csum                          tunnel packets carry a checksum
  --tun-remcsum                       tunnel packets carry a remote checksum
  --weight       -w weight            share of the server; 0 lets it run empty
  --u-threshold  -x uthreshold        no new connections from this many on
  --l-threshold  -y lthreshold        new connections again below this many
  --connection   -c                   show the connections
  --timeout                           show the timeouts of --set
  --daemon                            show the synchronisation daemons
  --stats                             show what has been counted
  --rate                              show what is counted per second
  --exact        -X                   show all digits of a number
  --thresholds                        show the limits of connections
  --persistent-conn                   show the persistent connections
  --tun-info                          show the tunnels
  --nosort                            show entries in the order they are kept
  --sort                              has no effect: entries are sorted anyway
  --ops          -o                   schedule every packet by itself
  --numeric      -n                   show numbers in place of names
  --sched-flags  -b flags             flags of the scheduler, with commas between
Daemon Options:
  --syncid sid                        identity of the synchronisation, 0 if not given
  --sync-maxlen length                length of a message at most, 1472 if not given
  --mcast-interface interface         where messages are sent and received
  --mcast-group address               group messages are sent to, 224.0.0.81 if not given
  --mcast-port port                   port messages are sent to, 8848 if not given
  --mcast-ttl ttl                     TTL of messages, 1 if not given
";
