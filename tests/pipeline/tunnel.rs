//! Tunnels: every byte of the outer headers, and an inner packet with a decremented TTL.

use crate::scene::*;
use crate::support::{LAN, LAN_MAC, VIP, VIP6, server_mac};
use director::model::{Tunnel, TunnelChecksum};
use director::packet::tcp::SYN;
use director::packet::{Parse, ipv4, udp};
use director::testing::frame;

const OUTSIDE: &str = "10.1.0.1";
const OUTSIDE6: &str = "fd00:b::1";

/// The inner packet of a client's SYN.
fn inner(tos: u8, df: bool) -> Vec<u8> {
    let packet = to_server(VIP).ttl(63).tos(tos).tcp(4000, 80).flags(SYN);
    if df { packet.df().packet() } else { packet.packet() }
}

fn inner6(tos: u8) -> Vec<u8> {
    to_server6(VIP6).ttl(63).tos(tos).tcp(4000, 80).flags(SYN).packet()
}

fn syn(tos: u8, df: bool) -> Vec<u8> {
    let packet = request().tos(tos).tcp(4000, 80).flags(SYN);
    if df { packet.df().build() } else { packet.build() }
}

fn syn6(tos: u8) -> Vec<u8> {
    request6().tos(tos).tcp(4000, 80).flags(SYN).build()
}

fn outer() -> director::testing::PacketBuilder<u32> {
    frame().macs(server_mac(11), LAN_MAC).ipv4(OUTSIDE, SERVER).ttl(63)
}

fn outer6() -> director::testing::PacketBuilder<u128> {
    frame().macs(server_mac(11), LAN_MAC).ipv6(OUTSIDE6, SERVER6).ttl(63)
}

#[test]
fn ipip_in_all_four_pairs_of_families() {
    let mut director = tunnelled(false, "10.1.0.11:80", Tunnel::Ipip);
    let expected = outer().df().identification(0).protocol(4).payload(inner(0, true));
    assert_eq!(director.client(&syn(0, true)).frame(), (LAN, expected.build()));

    let mut director = tunnelled(true, "[fd00:b::11]:80", Tunnel::Ipip);
    let expected = outer6().protocol(41).payload(inner6(0));
    assert_eq!(director.client(&syn6(0)).frame(), (LAN, expected.build()));

    let mut director = tunnelled(false, "[fd00:b::11]:80", Tunnel::Ipip);
    let expected = outer6().protocol(4).payload(inner(0, true));
    assert_eq!(director.client(&syn(0, true)).frame(), (LAN, expected.build()));

    let mut director = tunnelled(true, "10.1.0.11:80", Tunnel::Ipip);
    let (_, sent) = director.client(&syn6(0)).frame();
    let packet = u32::parse(&sent[14..]).unwrap();
    // IPv6 has no DF to copy; the outer packet gets an identification of the director.
    assert!(!packet.dont_fragment);
    let identification = ipv4::identification(&sent[14..]).into();
    let expected = outer().identification(identification).protocol(41).payload(inner6(0));
    assert_eq!(sent, expected.build());
}

/// DSCP is copied. ECN "congestion experienced" becomes "ECN-capable" in the outer header.
#[test]
fn dscp_and_ecn_of_the_outer_header() {
    for (tos, outside) in
        [(0, 0), (0x12, 0x12), (0x03, 0x02), (0xbb, 0xba), (0x01, 0x01), (0x02, 0x02)]
    {
        let mut director = tunnelled(false, "10.1.0.11:80", Tunnel::Ipip);
        let expected = outer().df().identification(0).tos(outside).protocol(4);
        let sent = director.client(&syn(tos, true)).frame().1;
        assert_eq!(sent, expected.payload(inner(tos, true)).build(), "{tos:#x}");
        let mut director = tunnelled(true, "[fd00:b::11]:80", Tunnel::Ipip);
        let expected = outer6().tos(outside).protocol(41).payload(inner6(tos));
        assert_eq!(director.client(&syn6(tos)).frame().1, expected.build(), "{tos:#x}");
    }
}

#[test]
fn df_outside_follows_pmtu_disc() {
    for (pmtu_disc, df, outside) in
        [(1, true, true), (1, false, false), (0, true, false), (0, false, false)]
    {
        let mut director = tunnelled(false, "10.1.0.11:80", Tunnel::Ipip);
        director.change(|snapshot| snapshot.settings.sysctls.pmtu_disc = pmtu_disc);
        let (_, sent) = director.client(&syn(0, df)).frame();
        let packet = u32::parse(&sent[14..]).unwrap();
        assert_eq!(packet.dont_fragment, outside);
        let identification = ipv4::identification(&sent[14..]);
        assert_eq!(identification == 0, outside, "an identification unless the packet is atomic");
        assert_eq!(sent[34..], inner(0, df), "the inner packet keeps its DF");
    }
}

#[test]
fn gue_with_and_without_checksum() {
    for (checksum, is_summed) in [
        (TunnelChecksum::None, false),
        (TunnelChecksum::Full, true),
        (TunnelChecksum::Remote, true),
    ] {
        let gue = Tunnel::Gue { port: 6080, checksum };
        let mut director = tunnelled(false, "10.1.0.11:80", gue);
        let (_, sent) = director.client(&syn(0, true)).frame();
        let source = udp::source_port(&sent[34..]);
        assert!((32_768..=60_999).contains(&source), "source port {source}");
        let body = [&[0, 4, 0, 0][..], &inner(0, true)].concat();
        let expected = outer().df().identification(0).udp(source, 6080).payload(body);
        let expected = if is_summed { expected } else { expected.without_checksum() };
        assert_eq!(sent, expected.build(), "{checksum:?}");
        // The port depends on the flow: the same flow has the same port, another one most likely another.
        let (_, again) = director.client(&syn(0, true)).frame();
        assert_eq!(udp::source_port(&again[34..]), source);
    }
    let gue = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Full };
    let mut director = tunnelled(true, "[fd00:b::11]:80", gue);
    let (_, sent) = director.client(&syn6(0)).frame();
    let body = [&[0, 41, 0, 0][..], &inner6(0)].concat();
    let source = udp::source_port(&sent[54..]);
    assert_eq!(sent, outer6().udp(source, 6080).payload(body).build());
}

#[test]
fn gre_with_and_without_checksum() {
    let gre = |checksum| Tunnel::Gre { checksum };
    let mut director = tunnelled(false, "10.1.0.11:80", gre(TunnelChecksum::None));
    let body = [&[0, 0, 8, 0][..], &inner(0, true)].concat();
    let expected = outer().df().identification(0).protocol(47).payload(body);
    assert_eq!(director.client(&syn(0, true)).frame().1, expected.build());

    let mut director = tunnelled(true, "[fd00:b::11]:80", gre(TunnelChecksum::Full));
    let mut body = [&[0x80, 0, 0x86, 0xdd, 0, 0, 0, 0][..], &inner6(0)].concat();
    let sum = director::packet::checksum::internet(&body);
    body[4..6].copy_from_slice(&sum.to_be_bytes());
    let expected = outer6().protocol(47).payload(body);
    assert_eq!(director.client(&syn6(0)).frame().1, expected.build());
}
