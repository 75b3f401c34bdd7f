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
