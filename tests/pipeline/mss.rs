//! The MSS clamp: the MSS announced by SYNs, by forwarding method and direction, and packets that stay unchanged.

use crate::scene::*;
use crate::support::{LAN, TestDirector, VIP, VIP6, WAN};
use director::model::{ForwardMethod, MssClamp, Protocol, Tunnel, TunnelChecksum};
use director::packet::tcp::{ACK, FIN, RST, SYN};
use director::reason::PuntReason;

/// Clamps to the path MTU, with these MTUs of the links.
fn clamping(mut director: TestDirector, wan: u16, lan: u16) -> TestDirector {
    director.change(|snapshot| {
        snapshot.settings.mss_clamp = MssClamp::PathMtu;
        snapshot.mtu = [wan, lan];
    });
    director
}

/// Only an MSS option, at an even offset.
fn mss(value: u16) -> Vec<u8> {
    let [high, low] = value.to_be_bytes();
    vec![2, 4, high, low]
}

/// An MSS option at an odd offset, followed by other options.
fn odd_mss(value: u16) -> Vec<u8> {
    let [high, low] = value.to_be_bytes();
    vec![1, 2, 4, high, low, 3, 3, 7, 4, 2, 1, 0]
}

fn clamped(director: &TestDirector) -> u64 {
    director.shared.counters.iter().map(|worker| worker.mss_clamped.get()).sum()
}

fn one4(method: ForwardMethod) -> TestDirector {
    one(Protocol::Tcp, "10.1.0.11:80", method)
}

fn one6(method: ForwardMethod) -> TestDirector {
    one(Protocol::Tcp, "[fd00:b::11]:80", method)
}

#[test]
fn a_clients_syn_by_dr_and_nat() {
    let shapes = [
        // WAN and LAN MTU, received MSS, sent MSS.
        (1500, 1500, 1460, 1460),
        (1500, 1500, 8960, 1460),
        (1500, 1400, 1460, 1360),
        (1400, 1500, 1460, 1360),
        (1500, 1400, 1000, 1000),
        (1500, 1400, 1360, 1360),
        (1500, 1400, 0, 0),
    ];
    for options in [mss, odd_mss] {
        for (wan, lan, comes, goes) in shapes {
            for (method, at) in [(ForwardMethod::Route, VIP), (ForwardMethod::Masq, SERVER)] {
                let mut director = clamping(one4(method), wan, lan);
                let came = request().tcp(4000, 80).flags(SYN).tcp_options(&options(comes));
                let went = to_server(at).ttl(63).tcp(4000, 80).flags(SYN);
                let went = went.tcp_options(&options(goes)).build();
                assert_eq!(director.client(&came.build()).frame(), (LAN, went), "{comes} {goes}");
                assert_eq!(clamped(&director), u64::from(comes != goes));
            }
            for (method, at) in [(ForwardMethod::Route, VIP6), (ForwardMethod::Masq, SERVER6)] {
                let mut director = clamping(one6(method), wan, lan);
                let came = request6().tcp(4000, 80).flags(SYN).tcp_options(&options(comes));
                let went = to_server6(at).ttl(63).tcp(4000, 80).flags(SYN);
                let goes = comes.min(wan.min(lan) - 60);
                let went = went.tcp_options(&options(goes)).build();
                assert_eq!(director.client(&came.build()).frame(), (LAN, went), "{comes} {goes}");
                assert_eq!(clamped(&director), u64::from(comes != goes));
            }
        }
    }
}

/// The outer headers of a tunnel reduce the MSS.
#[test]
fn a_clients_syn_into_a_tunnel() {
    let gue = Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Full };
    let gre = |checksum| Tunnel::Gre { checksum };
    for (ipv6, server, tunnel, goes) in [
        (false, "10.1.0.11:80", Tunnel::Ipip, 1500 - 20 - 40),
        (false, "[fd00:b::11]:80", Tunnel::Ipip, 1500 - 40 - 40),
        (true, "10.1.0.11:80", Tunnel::Ipip, 1500 - 20 - 60),
        (true, "[fd00:b::11]:80", Tunnel::Ipip, 1500 - 40 - 60),
        (false, "10.1.0.11:80", gue, 1500 - 32 - 40),
        (false, "10.1.0.11:80", gre(TunnelChecksum::None), 1500 - 24 - 40),
        (true, "[fd00:b::11]:80", gre(TunnelChecksum::Full), 1500 - 48 - 60),
    ] {
        for options in [mss, odd_mss] {
            let mut director = clamping(tunnelled(ipv6, server, tunnel), 1500, 1500);
            let (came, inner) = match ipv6 {
                false => (
                    request().df().tcp(4000, 80).flags(SYN).tcp_options(&options(1460)).build(),
                    to_server(VIP)
                        .df()
                        .ttl(63)
                        .tcp(4000, 80)
                        .flags(SYN)
                        .tcp_options(&options(goes))
                        .packet(),
                ),
                true => (
                    request6().tcp(4000, 80).flags(SYN).tcp_options(&options(1460)).build(),
                    to_server6(VIP6)
                        .ttl(63)
                        .tcp(4000, 80)
                        .flags(SYN)
                        .tcp_options(&options(goes))
                        .packet(),
                ),
            };
            let (port, went) = director.client(&came).frame();
            assert_eq!(port, LAN);
            assert!(went.ends_with(&inner), "{server} {tunnel:?}");
            if let Tunnel::Gue { .. } = tunnel {
                // The outer checksum covers the inner packet with the new MSS.
                let segment = &went[34..];
                let (from, to) = ("10.1.0.1", SERVER);
                let bits = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().to_bits();
                let sum = director::packet::checksum::transport(bits(from), bits(to), 17, segment);
                assert_eq!(sum, 0);
            }
        }
    }
}

/// With NAT the server's SYN passes the director and is clamped too.
#[test]
fn a_servers_syn_by_nat() {
    for options in [mss, odd_mss] {
        for (wan, lan) in [(1500, 1400), (1400, 1500)] {
            let mut director =
                clamping(one(Protocol::Tcp, "10.1.0.11:8080", ForwardMethod::Masq), wan, lan);
            director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
            let back = answer(SERVER).tcp(8080, 4000).flags(SYN | ACK).tcp_options(&options(1460));
            let home = to_client(VIP).ttl(63).tcp(80, 4000).flags(SYN | ACK);
            let home = home.tcp_options(&options(1360)).build();
            for times in 1..=2 {
                assert_eq!(director.server(&back.build()).frame(), (WAN, home.clone()));
                assert_eq!(clamped(&director), times);
            }

            let mut director =
                clamping(one(Protocol::Tcp, "[fd00:b::11]:8080", ForwardMethod::Masq), wan, lan);
            director.client(&request6().tcp(4000, 80).flags(SYN).build()).frame();
            let back =
                answer6(SERVER6).tcp(8080, 4000).flags(SYN | ACK).tcp_options(&options(1440));
            let home = to_client6(VIP6).ttl(63).tcp(80, 4000).flags(SYN | ACK);
            let home = home.tcp_options(&options(1340)).build();
            assert_eq!(director.server(&back.build()).frame(), (WAN, home));
        }
    }
}

/// With DR and TUN a server's SYN is clamped only if the director routes it; the MSS then leaves room for the tunnel's
/// headers.
#[test]
fn a_routed_servers_syn() {
    for (director, goes) in
        [(one4(ForwardMethod::Route), 1360), (tunnelled(false, "10.1.0.11:80", Tunnel::Ipip), 1340)]
    {
        let mut director = clamping(director, 1500, 1400);
        director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
        let back = answer(VIP).tcp(80, 4000).flags(SYN | ACK).tcp_options(&mss(1460)).build();
        let home = to_client(VIP).ttl(63).tcp(80, 4000).flags(SYN | ACK).tcp_options(&mss(goes));
        assert_eq!(director.server(&back).frame(), (WAN, home.build()));
    }
}

/// A server that opens a connection to the outside.
#[test]
fn a_syn_of_no_connection() {
    let mut director = clamping(one4(ForwardMethod::Masq), 1400, 1500);
    let came = answer(SERVER).tcp(5000, 443).flags(SYN).tcp_options(&mss(1460)).build();
    let went = to_client(SERVER).ttl(63).tcp(5000, 443).flags(SYN).tcp_options(&mss(1360)).build();
    assert_eq!(director.server(&came).frame(), (WAN, went));
    assert_eq!(clamped(&director), 1);
}

#[test]
fn a_retransmitted_syn() {
    for method in [ForwardMethod::Route, ForwardMethod::Masq] {
        let mut director = clamping(one4(method), 1500, 1400);
        let at = if method == ForwardMethod::Route { VIP } else { SERVER };
        let came = request().tcp(4000, 80).flags(SYN).tcp_options(&odd_mss(1460)).build();
        let went =
            to_server(at).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&odd_mss(1360)).build();
        for times in 1..=3 {
            assert_eq!(director.client(&came).frame(), (LAN, went.clone()));
            assert_eq!(clamped(&director), times);
            assert_eq!(director.state().0, "SYN_RECV");
            director.pass_s(1);
        }
    }
}

/// A SYN that replaces a closed connection.
#[test]
fn a_syn_that_reuses_a_closed_connection() {
    let mut director = clamping(one4(ForwardMethod::Route), 1500, 1400);
    let came = request().tcp(4000, 80).flags(SYN).tcp_options(&mss(1460)).build();
    director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
    director.client(&request().tcp(4000, 80).flags(FIN | ACK).build()).frame();
    assert_eq!(director.state().0, "TIME_WAIT");
    let went = to_server(VIP).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&mss(1360)).build();
    assert_eq!(director.client(&came).frame(), (LAN, went));
    assert_eq!((clamped(&director), director.counters(ONLY).connections), (1, 2));
}

#[test]
fn packets_that_are_not_clamped() {
    let cases: [(u8, Vec<u8>); 10] = [
        (SYN, vec![]),
        (SYN, vec![1, 1, 1, 0]),
        (SYN, vec![0, 2, 4, 5, 180, 0, 0, 0]),
        (SYN, vec![1, 2, 4, 5]),
        (SYN, vec![1, 1, 1, 2]),
        (SYN, vec![2, 3, 5, 0]),
        (SYN, vec![8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4]),
        (ACK, mss(1460)),
        (FIN | ACK, mss(1460)),
        (RST | ACK, mss(1460)),
    ];
    for (flags, options) in cases {
        let mut director = clamping(one4(ForwardMethod::Masq), 1300, 1300);
        director.client(&request().tcp(4000, 80).flags(SYN).build()).frame();
        let came = request().tcp(4000, 80).flags(flags).tcp_options(&options).payload("data");
        let went = to_server(SERVER).ttl(63).tcp(4000, 80).flags(flags).tcp_options(&options);
        let went = went.payload("data").build();
        assert_eq!(director.client(&came.build()).frame(), (LAN, went), "{flags:#x} {options:?}");
        let back = answer(SERVER).tcp(80, 4000).flags(flags).tcp_options(&options);
        let home = to_client(VIP).ttl(63).tcp(80, 4000).flags(flags).tcp_options(&options);
        assert_eq!(director.server(&back.build()).frame(), (WAN, home.build()));
        assert_eq!(clamped(&director), 0);
    }
}

#[test]
fn the_clamp_is_off_by_default() {
    for method in [ForwardMethod::Route, ForwardMethod::Masq] {
        let mut director = one4(method);
        director.change(|snapshot| snapshot.mtu = [1300, 1300]);
        let at = if method == ForwardMethod::Route { VIP } else { SERVER };
        let came = request().tcp(4000, 80).flags(SYN).tcp_options(&mss(1460)).build();
        let went = to_server(at).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&mss(1460)).build();
        assert_eq!(director.client(&came).frame(), (LAN, went.clone()));
        assert_eq!(director.client(&came).frame(), (LAN, went));
        // Changed while the connection lives.
        for (clamp, goes) in
            [(MssClamp::PathMtu, 1260), (MssClamp::Bytes(1000), 1000), (MssClamp::Off, 1460)]
        {
            director.change(|snapshot| snapshot.settings.mss_clamp = clamp);
            let went = to_server(at).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&mss(goes));
            assert_eq!(director.client(&came).frame(), (LAN, went.build()));
        }
    }
}

/// A fixed MSS applies to both families, all methods and both directions, whatever the path MTU.
#[test]
fn a_fixed_mss_ignores_the_path_mtu() {
    let fixed = |mut director: TestDirector| {
        director.change(|snapshot| {
            snapshot.settings.mss_clamp = MssClamp::Bytes(1400);
            snapshot.mtu = [1300, 1300];
        });
        director
    };
    let mut director = fixed(one6(ForwardMethod::Masq));
    let came = request6().tcp(4000, 80).flags(SYN).tcp_options(&odd_mss(1440)).build();
    let went = to_server6(SERVER6).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&odd_mss(1400));
    assert_eq!(director.client(&came).frame(), (LAN, went.build()));
    let back = answer6(SERVER6).tcp(80, 4000).flags(SYN | ACK).tcp_options(&mss(1440)).build();
    let home = to_client6(VIP6).ttl(63).tcp(80, 4000).flags(SYN | ACK).tcp_options(&mss(1400));
    assert_eq!(director.server(&back).frame(), (WAN, home.build()));
    let mut director = fixed(one4(ForwardMethod::Route));
    let came = request().tcp(4000, 80).flags(SYN).tcp_options(&mss(1399)).build();
    let went = to_server(VIP).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&mss(1399)).build();
    assert_eq!(director.client(&came).frame(), (LAN, went));
}

/// A route's MTU overrides its link's, for servers and for clients.
#[test]
fn a_routes_mtu_overrides_the_links() {
    for (network, hop, goes) in
        [("10.1.0.11", None, 1200 - 40), (CLIENT, Some("10.0.0.254"), 1200 - 40)]
    {
        let mut director = one4(ForwardMethod::Masq);
        director.change(|snapshot| {
            snapshot.settings.mss_clamp = MssClamp::PathMtu;
            let port = if hop.is_some() { WAN } else { LAN };
            let hop = hop.map(|hop: &str| hop.parse().unwrap());
            snapshot.routes.push(((network.parse().unwrap(), 32), port, hop, 1200));
        });
        let came = request().tcp(4000, 80).flags(SYN).tcp_options(&mss(1460)).build();
        let went = to_server(SERVER).ttl(63).tcp(4000, 80).flags(SYN).tcp_options(&mss(goes));
        assert_eq!(director.client(&came).frame(), (LAN, went.build()), "{network}");
        let back = answer(SERVER).tcp(80, 4000).flags(SYN | ACK).tcp_options(&mss(1460)).build();
        let home = to_client(VIP).ttl(63).tcp(80, 4000).flags(SYN | ACK).tcp_options(&mss(goes));
        assert_eq!(director.server(&back).frame(), (WAN, home.build()), "{network}");
    }
}

/// An ICMP error quotes the packet as received.
#[test]
fn punted_packets_are_not_clamped() {
    let mut director = clamping(one4(ForwardMethod::Route), 1300, 1300);
    let came = request().ttl(1).tcp(4000, 80).flags(SYN).tcp_options(&mss(1460)).build();
    for _ in 0..2 {
        let punt = director.client(&came).punt();
        assert_eq!((punt.reason, punt.frame), (PuntReason::TtlExpired, came.clone()));
    }
    let large = request().df().tcp(4001, 80).flags(SYN).tcp_options(&mss(1460));
    let large = large.payload(vec![7; 1300]).build();
    for _ in 0..2 {
        let punt = director.client(&large).punt();
        assert_eq!((punt.reason, punt.frame), (PuntReason::FragmentationNeeded, large.clone()));
    }
    assert_eq!(clamped(&director), 0);
}

/// SCTP has no MSS.
#[test]
fn sctp_is_not_touched() {
    let mut director =
        clamping(one(Protocol::Sctp, "10.1.0.11:80", ForwardMethod::Masq), 1300, 1300);
    let init = director::packet::sctp::INIT;
    let came = request().sctp(4000, 80, init).payload([2, 4, 5, 180, 2, 4, 5, 180]).build();
    let went = to_server(SERVER).ttl(63).sctp(4000, 80, init);
    let went = went.payload([2, 4, 5, 180, 2, 4, 5, 180]).build();
    for _ in 0..2 {
        assert_eq!(director.client(&came).frame(), (LAN, went.clone()));
    }
    assert_eq!(clamped(&director), 0);
}
