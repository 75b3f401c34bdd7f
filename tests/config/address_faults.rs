//! Addresses used twice, with the exact error messages. Line numbers start at the first line of the text.

use crate::faults::check;
use director::config::Config;

#[test]
fn a_vip_must_not_be_a_router_or_a_networks_own_address() {
    check(&[
        (
            r#"[director]
vips = ["10.0.0.254", "10.0.0.0", "10.0.0.255", "10.0.0.64/26", "10.0.0.128/25"]"#,
            &[
                "2: director.vips: 10.0.0.254 is the gateway of port wan0, so it cannot be a VIP",
                "2: director.vips: 10.0.0.0 is the network address of port wan0, so it cannot be a VIP",
                "2: director.vips: 10.0.0.255 is the broadcast address of port wan0, so it cannot be a VIP",
                "2: director.vips: 10.0.0.128/25 holds 10.0.0.255, which is the broadcast address of port wan0",
            ],
        ),
        (
            r#"[[route]]
destination = "10.9.0.0/16"
via = "10.0.0.253"
[[service]]
protocol = "tcp"
address = "10.0.0.253:80"
[[service]]
protocol = "udp"
address = "10.0.0.254:53""#,
            &[
                "6: service.address: 10.0.0.253 is the router to 10.9.0.0/16, so it cannot be a VIP",
                "9: service.address: 10.0.0.254 is the gateway of port wan0, so it cannot be a VIP",
            ],
        ),
    ]);
}

#[test]
fn a_vip_must_not_be_a_static_neighbour() {
    check(&[(
        r#"[director]
vips = ["10.0.0.32", "10.0.0.32/28"]
[[neighbour]]
port = "wan0"
address = "10.0.0.32"
mac = "02:00:00:00:00:32"
[[service]]
protocol = "tcp"
address = "10.0.0.32:80"
[[service]]
protocol = "tcp"
address = "10.0.0.101:80"
[[service.destination]]
address = "10.0.0.32""#,
        &[
            "2: director.vips: 10.0.0.32 is a static neighbour on port wan0, so it cannot be a VIP",
            "2: director.vips: 10.0.0.32/28 holds 10.0.0.32, which is a static neighbour on port wan0",
            "9: service.address: 10.0.0.32 is a static neighbour on port wan0, so it cannot be a VIP",
            "14: service.destination.address: 10.0.0.32 is the VIP of line 2, so no real server can have it",
        ],
    )]);
    // A real server may be a static neighbour.
    let text = r#"
[[port]]
name = "wan0"
device = "0000:01:00.0"
addresses = ["10.0.0.1/24"]
[[neighbour]]
port = "wan0"
address = "10.0.0.11"
mac = "02:00:00:00:00:11"
[[service]]
protocol = "tcp"
address = "10.0.0.100:80"
[[service.destination]]
address = "10.0.0.11"
"#;
    Config::parse(text, "f").unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn the_subnet_router_anycast_address_is_no_vip_and_no_real_server() {
    check(&[(
        r#"[director]
vips = ["fd00:a::"]
[[service]]
protocol = "tcp"
address = "[fd00:a::]:80"
[[service]]
protocol = "tcp"
address = "[fd00:a::100]:80"
[[service.destination]]
address = "fd00:a::""#,
        &[
            "2: director.vips: fd00:a:: is the subnet-router anycast address of port wan0, so it cannot be a VIP",
            "5: service.address: fd00:a:: is the subnet-router anycast address of port wan0, so it cannot be a VIP",
            "10: service.destination.address: fd00:a:: is the VIP of line 2, so no real server can have it",
        ],
    )]);
    let text = r#"
[[port]]
name = "wan0"
device = "0000:01:00.0"
addresses = ["fd00:a::1/127"]
[[service]]
protocol = "tcp"
address = "[fd00:c::1]:80"
[[service.destination]]
address = "fd00:a::"
"#;
    Config::parse(text, "f").unwrap_or_else(|faults| panic!("{faults}"));
    let faults = Config::parse(&text.replace("/127", "/126"), "f").unwrap_err().to_string();
    let expected = "f:10: service.destination.address: fd00:a:: is the subnet-router anycast address of port wan0";
    assert_eq!(faults, expected);
}

#[test]
fn reserved_and_multicast_addresses_are_no_vips() {
    check(&[(
        r#"[director]
vips = ["255.255.255.255", "240.0.0.1", "224.0.0.5", "192.0.0.0/2", "ff02::1"]
[[service]]
protocol = "tcp"
address = "255.255.255.255:80"
[[service]]
protocol = "tcp"
address = "240.0.0.1:80"
[[service]]
protocol = "tcp"
address = "224.0.0.5:80""#,
        &[
            "2: director.vips: 255.255.255.255/32 is reserved; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
            "2: director.vips: 240.0.0.1/32 is reserved; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
            "2: director.vips: 224.0.0.5/32 is not unicast; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
            "2: director.vips: 192.0.0.0/2 holds reserved addresses; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
            "2: director.vips: ff02::1/128 is not unicast; allowed: a network as 10.0.0.0/24 or an address as 10.0.0.1",
            "5: service.address: 255.255.255.255 is reserved; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
            "8: service.address: 240.0.0.1 is reserved; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
            "11: service.address: 224.0.0.5 is not unicast; allowed: VIP:PORT as 10.0.0.100:80 or [fd00::100]:80",
        ],
    )]);
}

#[test]
fn a_real_server_must_not_be_a_vip_or_a_networks_own_address() {
    check(&[(
        r#"[director]
vips = ["10.0.0.64/26", "fd00:a::100"]
[[service]]
protocol = "tcp"
address = "10.0.0.10:80"
[[service.destination]]
address = "10.0.0.10"
[[service.destination]]
address = "10.0.0.70"
[[service.destination]]
address = "10.0.0.0"
[[service]]
protocol = "tcp"
address = "[fd00:a::101]:80"
[[service.destination]]
address = "fd00:a::100""#,
        &[
            "7: service.destination.address: 10.0.0.10 is the VIP of line 5, so no real server can have it",
            "9: service.destination.address: 10.0.0.70 is in the network 10.0.0.64/26 of VIPs of line 2",
            "11: service.destination.address: 10.0.0.0 is the network address of port wan0",
            "16: service.destination.address: fd00:a::100 is the VIP of line 2, so no real server can have it",
        ],
    )]);
}

#[test]
fn a_gateway_must_not_be_a_network_address() {
    let text = r#"
[[port]]
name = "lan0"
device = "0000:01:00.1"
addresses = ["10.1.0.1/24"]
gateway = "10.1.0.0"
"#;
    let faults = Config::parse(text, "f").unwrap_err().to_string();
    assert_eq!(faults, "f:6: port.gateway: 10.1.0.0 is the address of its network itself");
}

/// A port's address may be a VIP of the director and also a real server.
#[test]
fn a_ports_address_may_be_a_vip_and_a_real_server() {
    let text = r#"
[[port]]
name = "wan0"
device = "0000:01:00.0"
addresses = ["10.0.0.1/24"]
[[service]]
protocol = "tcp"
address = "10.0.0.1:80"
[[service.destination]]
address = "10.0.0.1"
"#;
    Config::parse(text, "f").unwrap_or_else(|faults| panic!("{faults}"));
}
