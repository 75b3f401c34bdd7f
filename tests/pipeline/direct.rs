//! Direct routing: nothing changes but TTL and the Ethernet header.

use crate::support::{Director, LAN, LAN_MAC, ROUTER_MAC, VIP, VIP6, WAN_MAC, World, server_mac};
use director::model::{ForwardMethod, Protocol, SchedulerKind};
use director::packet::tcp;
use director::testing::frame;

#[test]
fn a_request_goes_to_the_server_with_one_hop_less() {
    let mut world = World::new();
    let web = world.service(Protocol::Tcp, "10.0.0.100:80", SchedulerKind::Rr);
    world.destination(web, "10.1.0.11:80", ForwardMethod::Route);
    let mut director = Director::new(world);
    let syn = frame()
        .ipv4("77.1.2.3", VIP)
        .tos(0x12)
        .identification(0x4321)
        .options(&[1, 1, 1, 1])
        .tcp(4000, 80)
        .flags(tcp::SYN);
    let (port, sent) = director.client(&syn.clone().ttl(64).build()).frame();
    let mut expected = syn.ttl(63).build();
    expected[..6].copy_from_slice(&server_mac(11));
    expected[6..12].copy_from_slice(&LAN_MAC);
    assert_eq!((port, sent), (LAN, expected));
    assert_eq!(director.state(), ("SYN_RECV", 60));
    let _ = (ROUTER_MAC, WAN_MAC, VIP6);
}
