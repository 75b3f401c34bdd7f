//! Bad services and destinations, with the exact error messages. Line numbers start at the first line of the text.

use crate::faults::check;

#[test]
fn services() {
    check(&[
        (
            r#"[[service]]
scheduler = "rr""#,
            &[
                r#"1: service: neither address nor fwmark is given; allowed: protocol with address = "VIP:PORT", or fwmark = NUMBER"#,
            ],
        ),
        (
            r#"[[service]]
address = "10.0.0.100:80""#,
            &["1: service: protocol is missing; allowed: tcp, udp, sctp"],
        ),
        (
            r#"[[service]]
protocol = "icmp"
address = "10.0.0.100:80""#,
            &["2: service.protocol: unknown value `icmp`; allowed: tcp, udp, sctp"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100""#,
            &[
                "3: service.address: the port is missing; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:99999""#,
            &[
                "3: service.address: `99999` is not a port from 0 to 65535; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "www:80""#,
            &[
                "3: service.address: `www:80` is not an address; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "224.0.0.1:80""#,
            &[
                "3: service.address: 224.0.0.1 is not unicast; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:0""#,
            &[
                "3: service.address: port 0, all ports, is for persistent services only; allowed: 1 to 65535, or persistence",
            ],
        ),
        (
            r#"[[service]]
fwmark = 0"#,
            &["2: service.fwmark: 0 is out of range; allowed: 1 to 4294967295"],
        ),
        (
            r#"[[service]]
fwmark = 1
address = "10.0.0.100:80""#,
            &["2: service.fwmark: address and fwmark exclude each other"],
        ),
        (
            r#"[[service]]
fwmark = 1
protocol = "tcp"
family = "inet""#,
            &[
                "3: service.protocol: it goes with address only; a mark takes every protocol",
                "4: service.family: unknown value `inet`; allowed: ipv4, ipv6",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
family = "ipv4""#,
            &["4: service.family: it belongs to fwmark only; an address shows its family"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
scheduler = "random""#,
            &[
                "4: service.scheduler: unknown scheduler `random`; allowed: none, rr, wrr, lc, wlc, sed, nq, fo, ovf, dh, sh, mh, lblc, lblcr, twos",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
scheduler = "rr"
scheduler_flags = ["sh-port", "fast"]"#,
            &[
                "5: service.scheduler_flags: `sh-port` is not a flag of scheduler rr",
                "5: service.scheduler_flags: unknown value `fast`; allowed: flag-1, flag-2, flag-3, sh-fallback, sh-port, mh-fallback, mh-port",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
persistence = 0"#,
            &["4: service.persistence: 0 is out of range; allowed: 1 to 2678400"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
netmask = "255.255.255.0""#,
            &["4: service.netmask: it needs persistence"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
persistence = 60
netmask = 24"#,
            &[r#"5: service.netmask: `24` is not a netmask; allowed: a mask as "255.255.255.0""#],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "[fd00::100]:80"
persistence = 60
netmask = 129"#,
            &["5: service.netmask: `129` is not a netmask; allowed: a prefix length, 1 to 128"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "[fd00::100]:80"
persistence = 60
netmask = "255.0.0.0""#,
            &[
                "5: service.netmask: `255.0.0.0` is not a netmask; allowed: a prefix length, 1 to 128",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
one_packet = true"#,
            &["4: service.one_packet: one-packet scheduling is for UDP and firewall marks only"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
persistence = 60
persistence_engine = "sip""#,
            &["5: service.persistence_engine: the sip engine handles UDP only"],
        ),
        (
            r#"[[service]]
protocol = "udp"
address = "10.0.0.100:53"
persistence_engine = "sip""#,
            &["4: service.persistence_engine: it needs persistence"],
        ),
        (
            r#"[[service]]
protocol = "udp"
address = "10.0.0.100:53"
persistence = 60
persistence_engine = "h323""#,
            &["5: service.persistence_engine: unknown value `h323`; allowed: sip"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service]]
protocol = "tcp"
address = "10.0.0.100:80""#,
            &["4: service: TCP 10.0.0.100:80 is defined in line 1 already"],
        ),
        (
            r#"[[service]]
fwmark = 1
[[service]]
fwmark = 1
family = "ipv6"
[[service]]
fwmark = 1
family = "ipv4""#,
            &["6: service: FWM 1 is defined in line 1 already"],
        ),
    ]);
}

#[test]
fn destinations() {
    check(&[
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
weight = 1"#,
            &["4: service.destination: `address` is missing"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "server1""#,
            &[
                "5: service.destination.address: `server1` is not an address; allowed: RIP:PORT as 192.168.10.11:80 or [fd00::11]:80, or RIP alone",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "10.0.0.255""#,
            &["5: service.destination.address: 10.0.0.255 is not a unicast address of a server"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
[service.destination.tunnel]
kind = "gre""#,
            &["8: service.destination.tunnel: unknown key `kind`; allowed: type, port, checksum"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
[service.destination.tunnel]
type = "gre"
port = "6080""#,
            &[r#"9: service.destination.tunnel: invalid type: string "6080"; allowed: an integer"#],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[service.destination]
address = "192.168.10.11""#,
            &["4: service.destination: not a list of tables; allowed: [[service.destination]]"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
adress = "192.168.10.11"
weigth = 5
method = 7"#,
            &[
                "5: service.destination.adress: unknown key; allowed: address, method, weight, upper_threshold, lower_threshold, tunnel",
                "6: service.destination.weigth: unknown key; allowed: address, method, weight, upper_threshold, lower_threshold, tunnel",
                "7: service.destination.method: invalid type: integer `7`; allowed: a string",
            ],
        ),
        (r#"timeouts = []"#, &["1: timeouts: not a table; allowed: [timeouts]"]),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "224.0.0.1"
[[service.destination]]
address = "0.0.0.0"
[[service.destination]]
address = "255.255.255.255""#,
            &[
                "5: service.destination.address: 224.0.0.1 is not a unicast address of a server",
                "7: service.destination.address: 0.0.0.0 is not a unicast address of a server",
                "9: service.destination.address: 255.255.255.255 is not a unicast address of a server",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "[fd00::100]:80"
[[service.destination]]
address = "fe80::1"
[[service.destination]]
address = "ff02::1"
[[service.destination]]
address = "::""#,
            &[
                "5: service.destination.address: fe80::1 is not a unicast address of a server",
                "7: service.destination.address: ff02::1 is not a unicast address of a server",
                "9: service.destination.address: :: is not a unicast address of a server",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11:81""#,
            &[
                "5: service.destination.address: only masq changes the port; leave it out, or write the service's, 80",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11:81"
method = "tunnel""#,
            &[
                "5: service.destination.address: only masq changes the port; leave it out, or write the service's, 80",
            ],
        ),
        (
            r#"[[service]]
fwmark = 1
[[service.destination]]
address = "192.168.10.11:80""#,
            &[
                "4: service.destination.address: only masq changes the port; leave it out, or write the service's, 0",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "fd00::11"
method = "masq""#,
            &[
                r#"5: service.destination.address: a family other than the service's is for method = "tunnel" only"#,
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "[fd00::100]:80"
[[service.destination]]
address = "192.168.10.11""#,
            &[
                r#"5: service.destination.address: a family other than the service's is for method = "tunnel" only"#,
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "nat"
tunnel = { type = "ipip" }"#,
            &["6: service.destination.method: unknown value `nat`; allowed: route, masq, tunnel"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
weight = 2147483648"#,
            &[
                "6: service.destination.weight: 2147483648 is out of range; allowed: 0 to 2147483647",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
weight = -1"#,
            &["6: service.destination.weight: -1 is out of range; allowed: 0 to 2147483647"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
upper_threshold = 4294967296
lower_threshold = 5"#,
            &[
                "6: service.destination.upper_threshold: 4294967296 is out of range; allowed: 0 to 4294967295",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
lower_threshold = 5"#,
            &["6: service.destination.lower_threshold: 5 is above upper_threshold, 0"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
tunnel = { type = "ipip" }"#,
            &[r#"6: service.destination.tunnel: it goes with method = "tunnel" only"#],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = { type = "gue" }"#,
            &["7: service.destination.tunnel.port: a gue tunnel needs a port; allowed: 1 to 65535"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = { type = "gue", port = 0 }"#,
            &["7: service.destination.tunnel.port: 0 is out of range; allowed: 1 to 65535"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = { type = "gre", port = 6080, checksum = "remote" }"#,
            &[
                r#"7: service.destination.tunnel.port: it goes with type = "gue" only"#,
                "7: service.destination.tunnel.checksum: remote is for gue only; allowed: none, full",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = { type = "ipip", checksum = "full" }"#,
            &["7: service.destination.tunnel.checksum: an ipip tunnel has no checksum"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = { kind = "vxlan" }"#,
            &["7: service.destination.tunnel: unknown key `kind`; allowed: type, port, checksum"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = { type = "vxlan", checksum = "some" }"#,
            &[
                "7: service.destination.tunnel.checksum: unknown value `some`; allowed: none, full, remote",
                "7: service.destination.tunnel.type: unknown value `vxlan`; allowed: ipip, gue, gre",
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
method = "tunnel"
tunnel = {}"#,
            &[
                r#"7: service.destination.tunnel.type: it is missing; allowed: type = "ipip", "gue" or "gre""#,
            ],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
[[service.destination]]
address = "192.168.10.11:80""#,
            &["7: service.destination.address: a second destination 192.168.10.11:80"],
        ),
        (
            r#"[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
destination = 5"#,
            &["4: service.destination: not a list of tables; allowed: [[service.destination]]"],
        ),
        (
            r#"[tables]
services = 1
destinations = 1
[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "192.168.10.11"
[[service.destination]]
address = "192.168.10.12"
[[service]]
protocol = "udp"
address = "10.0.0.100:53""#,
            &[
                "tables.services: 1 is less than the 2 services of this file",
                "tables.destinations: 1 is less than the 2 destinations of this file",
            ],
        ),
    ]);
}
