//! Bad ports, neighbours, routes and marks, with the exact error messages. Line numbers start at the first line of the
//! text.

use crate::faults::check;

#[test]
fn ports_neighbours_routes_and_marks() {
    check(&[
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1"]"#,
            &[
                "4: port.addresses: `192.168.10.1` has no prefix length; allowed: an address with its prefix length as 10.0.0.1/24",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.0/24", "192.168.10.255/24", "0.0.0.0/0", "127.0.0.1/8"]"#,
            &[
                "4: port.addresses: 192.168.10.0 is the address of its network itself",
                "4: port.addresses: 192.168.10.255 is the broadcast address of its network",
                "4: port.addresses: 0.0.0.0 cannot be an interface's address; allowed: an address with its prefix length as 10.0.0.1/24",
                "4: port.addresses: 127.0.0.1 cannot be an interface's address; allowed: an address with its prefix length as 10.0.0.1/24",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24", "192.168.10.1/25"]"#,
            &["4: port.addresses: 192.168.10.1 is listed twice"],
        ),
        (
            r#"[[port]]
name = "wan 0"
device = """#,
            &[
                "2: port.name: `wan 0` cannot name a port; allowed: 1 to 32 of A-Z a-z 0-9 _ . -",
                "3: port.device: `` names no device; allowed: a PCI address, or a virtual device's name without its arguments",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24"]
gateway = "10.9.9.9""#,
            &[
                "5: port.gateway: 10.9.9.9 is in no network of port lan0",
                "10: port.gateway: port lan0 has the default route already",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24"]
gateway = "192.168.10.1""#,
            &[
                "5: port.gateway: 192.168.10.1 is the port's own address",
                "10: port.gateway: port lan0 has the default route already",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24"]
gateway = "192.168.10.255""#,
            &[
                "5: port.gateway: 192.168.10.255 is the broadcast address of its network",
                "10: port.gateway: port lan0 has the default route already",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24"]
gateway_ipv6 = "fe80::1""#,
            &["5: port.gateway_ipv6: fe80::1 is in no network of port lan0"],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
gateway = "fd00::1"
gateway_ipv6 = "10.0.0.1""#,
            &[
                "4: port.gateway: `fd00::1` is not an IPv4 address; allowed: an IPv4 address",
                "5: port.gateway_ipv6: `10.0.0.1` is not an IPv6 address; allowed: an IPv6 address",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["fd00:b::1/64"]
mtu = 1000"#,
            &["5: port.mtu: 1000 is out of range; allowed: 1280 to 2026"],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
mtu = 70000
rx_descriptors = 1
side = "routers""#,
            &[
                "4: port.mtu: 70000 is out of range; allowed: 68 to 2026",
                "5: port.rx_descriptors: 1 is out of range; allowed: 32 to 32768",
                "6: port.side: unknown value `routers`; allowed: both, clients, servers",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
kernel = "a name with spaces""#,
            &[
                "4: port.kernel: `a name with spaces` cannot name a kernel interface; allowed: true, false, or the name of a new kernel interface: 1 to 15 of A-Z a-z 0-9 _ . -",
            ],
        ),
        (
            r#"[[port]]
name = "a-port-of-sixteen"
device = "0000:02:00.1"
kernel = true
[[port]]
name = "lan1"
device = "0000:02:00.2"
kernel = "host"
[[port]]
name = "lan2"
device = "0000:02:00.3"
kernel = "host""#,
            &[
                "4: port.kernel: `a-port-of-sixteen` cannot name a kernel interface; allowed: true, false, or the name of a new kernel interface: 1 to 15 of A-Z a-z 0-9 _ . -",
                "12: port.kernel: host is the kernel interface of port lan1 already",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "net_tap0""#,
            &[
                "3: port.device: no virtual device `net_tap0` in dpdk.vdevs; allowed: a PCI address, or a device listed in dpdk.vdevs",
            ],
        ),
        (
            r#"[dpdk]
vdevs = ["net_tap1,iface=t1"]
[[port]]
name = "lan0"
device = "net_tap0""#,
            &[
                "5: port.device: no virtual device `net_tap0` in dpdk.vdevs; allowed: a PCI address, net_tap1",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
[[port]]
name = "lan0"
device = "0000:02:00.1""#,
            &[
                "5: port.name: a second port `lan0`",
                "6: port.device: 0000:02:00.1 is the device of port lan0 already",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24"]
gateway = "192.168.10.2"
[[port]]
name = "b"
device = "0000:02:00.2"
addresses = ["192.168.10.3/24", "192.168.11.1/24", "192.168.10.1/32"]
gateway = "192.168.11.2""#,
            &[
                "9: port.addresses: 192.168.10.0/24 is the network of port lan0 already",
                "9: port.addresses: 192.168.10.1 is an address of port lan0 already",
                "10: port.gateway: port lan0 has the default route already",
                "15: port.gateway: port lan0 has the default route already",
            ],
        ),
        (
            r#"[[port]]
name = "lan0"
device = "0000:02:00.1"
addresses = ["192.168.10.1/24", "fd00::1/64"]
[[port]]
name = "b"
device = "0000:02:00.2"
addresses = ["192.168.10.129/25", "fd00::2/48", "192.168.10.9/32", "fd00::9/128"]"#,
            &[
                "8: port.addresses: 192.168.10.128/25 overlaps 192.168.10.0/24 of port lan0",
                "8: port.addresses: fd00::/48 overlaps fd00::/64 of port lan0",
            ],
        ),
        (
            r#"[[neighbour]]
port = "lan0"
address = "10.0.0.254"
mac = "02:00:00:00:fe:fe""#,
            &["2: neighbour.port: no port `lan0`; allowed: wan0"],
        ),
        (
            r#"[[neighbour]]
port = "wan0"
address = "10.0.1.254"
mac = "02:00:00:00:fe:fe""#,
            &["3: neighbour.address: 10.0.1.254 is in no network of port wan0"],
        ),
        (
            r#"[[neighbour]]
port = "wan0"
address = "gateway"
mac = "02:00:00:00:fe""#,
            &[
                "3: neighbour.address: `gateway` is not an address; allowed: an address",
                "4: neighbour.mac: `02:00:00:00:fe` is not an Ethernet address; allowed: a unicast address as 02:00:00:00:00:01",
            ],
        ),
        (
            r#"[[neighbour]]
port = "wan0"
address = "10.0.0.1"
mac = "03:00:00:00:fe:fe""#,
            &[
                "4: neighbour.mac: 03:00:00:00:fe:fe is not unicast; allowed: a unicast address as 02:00:00:00:00:01",
            ],
        ),
        (
            r#"[[neighbour]]
port = "wan0"
address = "10.0.0.2"
mac = "02:00:00:00:fe:fe"
[[neighbour]]
port = "wan0"
address = "10.0.0.2"
mac = "02:00:00:00:fe:ff""#,
            &["7: neighbour.address: a second neighbour 10.0.0.2"],
        ),
        (
            r#"[[route]]
destination = "172.16.0.0/16""#,
            &[
                r#"1: route: neither via nor port is given; allowed: via = "ROUTER", or port = "NAME" for a network on the link"#,
            ],
        ),
        (
            r#"[[route]]
destination = "172.16.0.1/16"
via = "10.0.0.2""#,
            &[
                "2: route.destination: `172.16.0.1/16` has host bits; the network is 172.16.0.0/16; allowed: a network as 10.0.0.0/8",
            ],
        ),
        (
            r#"[[route]]
destination = "172.16.0.0/16"
via = "10.1.0.2""#,
            &["3: route.via: 10.1.0.2 is in no network of a port"],
        ),
        (
            r#"[[route]]
destination = "172.16.0.0/16"
via = "10.0.0.1""#,
            &["3: route.via: 10.0.0.1 is the port's own address"],
        ),
        (
            r#"[[route]]
destination = "fd00:c::/48"
via = "10.0.0.2""#,
            &["2: route.destination: 10.0.0.2 and fd00:c::/48 are of different families"],
        ),
        (
            r#"[[route]]
destination = "172.16.0.0/16"
port = "lan0"
mtu = 9000"#,
            &["3: route.port: no port `lan0`; allowed: wan0"],
        ),
        (
            r#"[[route]]
destination = "172.16.0.0/16"
via = "10.0.0.2"
mtu = 9000"#,
            &["4: route.mtu: 9000 is out of range; allowed: 68 to 1500"],
        ),
        (
            r#"[[route]]
destination = "0.0.0.0/0"
via = "10.0.0.2""#,
            &["2: route.destination: port wan0 has the default route already"],
        ),
        (
            r#"[[route]]
destination = "10.0.0.0/24"
port = "wan0""#,
            &["2: route.destination: 10.0.0.0/24 is the network of port wan0 already"],
        ),
        (
            r#"[[route]]
destination = "10.8.0.0/16"
port = "wan0"
[[route]]
destination = "10.8.0.0/16"
via = "10.0.0.2""#,
            &["5: route.destination: a second route to 10.8.0.0/16"],
        ),
        (
            r#"[[mark]]
port = "lan0"
protocol = "icmp"
source = "10.0.0.1/8"
destination = "all"
source_ports = "90-80"
destination_ports = "http"
mark = -1"#,
            &[
                "2: mark.port: no port `lan0`; allowed: wan0",
                "3: mark.protocol: unknown value `icmp`; allowed: tcp, udp, sctp",
                "4: mark.source: `10.0.0.1/8` has host bits; the network is 10.0.0.0/8; allowed: a network as 10.0.0.0/8",
                "5: mark.destination: `all` is not an address; allowed: a network as 10.0.0.0/8",
                "6: mark.source_ports: `90-80` is not a port or a range of ports; allowed: a port as 80 or ports as 80-90, 0 to 65535",
                "7: mark.destination_ports: `http` is not a port or a range of ports; allowed: a port as 80 or ports as 80-90, 0 to 65535",
                "8: mark.mark: -1 is out of range; allowed: 0 to 4294967295",
            ],
        ),
        (
            r#"[[mark]]
source = "10.0.0.0/8"
destination = "fd00::/8"
mark = 1"#,
            &["2: mark.source: 10.0.0.0/8 and fd00::/8 are of different families"],
        ),
        (
            r#"[[mark]]
protocol = "tcp""#,
            &["1: mark: `mark` is missing"],
        ),
    ]);
}

#[test]
fn a_virtual_device_needs_a_queue_pair_for_each_worker() {
    check(&[
        (
            r#"[dpdk]
workers = 2
vdevs = ["net_af_packet0,iface=lo", "net_af_xdp0,iface=veth0,queue_count=1", "net_af_packet1,iface=veth1,qpairs=2"]
[[port]]
name = "a"
device = "net_af_packet0"
[[port]]
name = "b"
device = "net_af_xdp0"
[[port]]
name = "c"
device = "net_af_packet1""#,
            &[
                "6: port.device: net_af_packet0 has 1 of the 2 queue pairs that dpdk.workers needs; allowed: qpairs=2 in its dpdk.vdevs",
                "9: port.device: net_af_xdp0 has 1 of the 2 queue pairs that dpdk.workers needs; allowed: queue_count=2 in its dpdk.vdevs",
            ],
        ),
        (
            r#"[dpdk]
no_huge = true
vdevs = ["net_af_xdp0,iface=veth0"]
[[port]]
name = "lan0"
device = "net_af_xdp0""#,
            &[
                "9: port.device: 0000:01:00.0 and net_af_xdp0 of port lan0 cannot share packet buffers without hugepages; allowed: dpdk.no_huge = false, or devices of one kind",
            ],
        ),
    ]);
}

/// Rules that a packet would be compared with one by one.
#[test]
fn marks_beyond_the_index() {
    let ranges = "[[mark]]\nsource_ports = \"1-2\"\nmark = 1\n".repeat(65);
    let kinds: String = (0..=32)
        .map(|length| format!("[[mark]]\nsource = \"fd00::/{}\"\nmark = 1\n", 16 + length))
        .collect();
    check(&[
        (&ranges, &["193: mark: one rule too many with a range of source ports: 64 are allowed"]),
        (
            &kinds,
            &[
                "97: mark: one kind of rule too many for its address family: 32 are allowed; the kind is the lengths of source and destination, and whether port, protocol and source_ports are given",
            ],
        ),
    ]);
}
