//! Packets above the MTU are answered with the MTU, fragmented, or fragmented outside the tunnel.

use crate::scene::*;
use crate::support::{LAN, LAN_MAC, TestDirector, VIP, server_mac};
use director::model::{ForwardMethod, Protocol, Tunnel, TunnelChecksum};
use director::packet::{Fragment, Parse, ipv4};
use director::reason::PuntReason;
use director::testing::frame;

/// The same director with this MTU on the link to the servers.
fn narrow(mut director: TestDirector, mtu: u16) -> TestDirector {
    director.change(|snapshot| snapshot.mtu[1] = mtu);
    director
}

/// A UDP or TCP request with an IP packet of this length.
fn of_length(length: usize, df: bool) -> Vec<u8> {
    let packet = request().tcp(4000, 80).flags(2).payload(vec![7; length - 40]);
    if df { packet.df().build() } else { packet.build() }
}

fn gue() -> Tunnel {
    Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None }
}

#[test]
fn df_above_the_mtu_is_answered_with_the_inner_mtu() {
    let gre = Tunnel::Gre { checksum: TunnelChecksum::Full };
    let cases: [(fn() -> TestDirector, u16); 5] = [
        (|| one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Route), 1000),
        (|| one(Protocol::Tcp, "10.1.0.11:80", ForwardMethod::Masq), 1000),
        (|| tunnelled(false, "10.1.0.11:80", Tunnel::Ipip), 980),
        (|| tunnelled(false, "10.1.0.11:80", gue()), 968),
        (|| tunnelled(false, "[fd00:b::11]:80", Tunnel::Ipip), 1360),
    ];
    for (make, inside) in cases {
        let mtu = if inside == 1360 { 1400 } else { 1000 };
        let mut director = narrow(make(), mtu);
        director.client(&of_length(usize::from(inside), true)).frame();
        let came = of_length(usize::from(inside) + 1, true);
        let punt = director.client(&came).punt();
        assert_eq!((punt.reason, punt.mtu), (PuntReason::FragmentationNeeded, inside));
        assert_eq!(punt.frame, came, "as it was received");
    }
    let mut director = narrow(tunnelled(false, "10.1.0.11:80", gre), 1000);
    assert_eq!(director.client(&of_length(973, true)).punt().mtu, 972);
}

#[test]
fn ipv6_is_never_cut() {
    for (mut director, inside) in [
        (narrow(one(Protocol::Tcp, "[fd00:b::11]:80", ForwardMethod::Route), 1400), 1400),
        (narrow(one(Protocol::Tcp, "[fd00:b::11]:80", ForwardMethod::Masq), 1400), 1400),
        (narrow(tunnelled(true, "[fd00:b::11]:80", Tunnel::Ipip), 1400), 1360),
    ] {
        let came =
            |length: usize| request6().tcp(4000, 80).flags(2).payload(vec![7; length - 60]).build();
        director.client(&came(inside)).frame();
        let punt = director.client(&came(inside + 1)).punt();
        assert_eq!(punt.reason, PuntReason::FragmentationNeeded);
        assert_eq!(usize::from(punt.mtu), inside);
    }
}

/// Joins the payloads of a packet's fragments.
fn together(frames: &[(director::model::PortId, Vec<u8>)], mtu: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    for (index, (_, frame)) in frames.iter().enumerate() {
        let ip = &frame[14..];
        let packet = u32::parse(ip).unwrap();
        assert!(usize::from(packet.length) <= mtu);
        let word = ipv4::fragment_word(ip);
        assert_eq!(usize::from(word & ipv4::FRAGMENT_OFFSET) * 8, whole.len());
        assert_eq!(word & ipv4::MORE_FRAGMENTS != 0, index + 1 < frames.len());
        assert_ne!(packet.fragment, Fragment::Whole);
        whole.extend(&ip[usize::from(packet.header)..usize::from(packet.length)]);
    }
    whole
}

#[test]
fn without_df_a_packet_is_fragmented() {
    let mut director = narrow(one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq), 576);
    let payload: Vec<u8> = (0..1400).map(|index| (index / 4) as u8).collect();
    let sent = director.client(&request().tcp(4000, 80).flags(2).payload(&payload).build());
    assert!(sent.punts.is_empty() && sent.drops.is_empty());
    assert_eq!(sent.sent.len(), 3);
    let whole = to_server(SERVER).ttl(63).tcp(4000, 8080).flags(2).payload(&payload).packet();
    assert_eq!(together(&sent.sent, 576), whole[20..]);
}

#[test]
fn a_tunnel_without_pmtu_disc_is_fragmented_outside() {
    let mut director = narrow(tunnelled(false, "10.1.0.11:80", Tunnel::Ipip), 1000);
    director.change(|snapshot| snapshot.settings.sysctls.pmtu_disc = 0);
    let sent = director.client(&of_length(1400, true));
    let inner = to_server(VIP).ttl(63).df().tcp(4000, 80).flags(2).payload(vec![7; 1360]).packet();
    assert_eq!(together(&sent.sent, 1000), inner);
}

/// The director is the source of the outer packet, so it may fragment it in IPv6 too.
#[test]
fn a_tunnel_over_ipv6_is_fragmented_outside() {
    let gre = Tunnel::Gre { checksum: TunnelChecksum::None };
    for (tunnel, pmtu_disc, df) in
        [(Tunnel::Ipip, 1, false), (Tunnel::Ipip, 0, true), (gre, 1, false)]
    {
        let mut director = tunnelled(false, "[fd00:b::11]:80", tunnel);
        director.change(|snapshot| snapshot.settings.sysctls.pmtu_disc = pmtu_disc);
        let inner = to_server(VIP).ttl(63).tcp(4000, 80).flags(2).payload(vec![7; 1460]);
        let inner = if df { inner.df().packet() } else { inner.packet() };
        let (protocol, shim): (u8, &[u8]) =
            if tunnel == Tunnel::Ipip { (4, &[]) } else { (47, &[0, 0, 8, 0]) };
        let outer = frame().macs(server_mac(11), LAN_MAC).ipv6("fd00:b::1", SERVER6).ttl(63);
        let outer = outer.identification(1).protocol(protocol).payload([shim, &inner].concat());
        let expected = outer.fragments(1448).into_iter().map(|piece| (LAN, piece));
        let outcome = director.client(&of_length(1500, df));
        assert!(outcome.punts.is_empty() && outcome.drops.is_empty());
        assert_eq!(outcome.sent, expected.collect::<Vec<_>>(), "{tunnel:?}");
    }
}

/// If the tunnel leaves less than the minimum MTU, nothing is sent and no ICMP error is returned.
#[test]
fn too_small_for_a_tunnel() {
    for (server, mtu) in [("10.1.0.11:80", 87), ("[fd00:b::11]:80", 1319)] {
        let mut director = narrow(tunnelled(false, server, Tunnel::Ipip), mtu);
        assert_eq!(
            director.client(&of_length(60, false)).drop(),
            director::reason::DropReason::TooBig
        );
    }
}

/// A reply above the MTU of the client's link is answered to the server.
#[test]
fn replies_obey_the_clients_links_mtu() {
    let mut director = one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq);
    director.change(|snapshot| snapshot.mtu[0] = 1000);
    director.client(&request().tcp(4000, 80).flags(2).build()).frame();
    let back = answer(SERVER).df().tcp(8080, 4000).payload(vec![0; 1000]).build();
    let punt = director.server(&back).punt();
    assert_eq!((punt.reason, punt.mtu, punt.frame), (PuntReason::FragmentationNeeded, 1000, back));
}
