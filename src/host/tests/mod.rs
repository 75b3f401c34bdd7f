//! Tests with frames: the director of the recorded transcripts, with a clock moved by hand.

mod answers;
mod groups;
mod links;
mod recorded;

use super::*;
use crate::io::MemoryFrame;
use crate::model::PortId;
use crate::packet::arp::Arp;
use crate::packet::ndp;
use crate::testing::{PacketBuilder, frame};
use crate::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr};

const WAN: InterfaceId = InterfaceId(0);
const LAN: InterfaceId = InterfaceId(1);
const WAN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const LAN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0x10, 0x0b];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn bits(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().unwrap().to_bits()
}

fn bits6(text: &str) -> u128 {
    text.parse::<Ipv6Addr>().unwrap().to_bits()
}

/// Frames sent, and a pool that may be empty.
#[derive(Default)]
struct Sent {
    frames: Vec<(InterfaceId, Vec<u8>)>,
    /// Membership reports, stored separately, because every change of addresses causes some.
    reports: Vec<(InterfaceId, Vec<u8>)>,
    dry: bool,
}

impl Outbox<MemoryFrame> for Sent {
    fn allocate(&mut self, _interface: InterfaceId) -> Option<MemoryFrame> {
        (!self.dry).then(|| MemoryFrame::new(&[]))
    }

    fn send(&mut self, interface: InterfaceId, frame: MemoryFrame) {
        let kept = match groups::is_report(frame.bytes()) {
            true => &mut self.reports,
            false => &mut self.frames,
        };
        kept.push((interface, frame.bytes().to_vec()));
    }
}

/// The director of the recorded transcripts: two ports, a router on each side, virtual addresses.
struct TestHost {
    host: IpHost<MemoryFrame>,
    sent: Sent,
    now: Instant,
}

impl TestHost {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let interface = |id, name: &str, mac, addresses: [(&str, u8); 2]| Interface {
            id,
            name: name.into(),
            port: PortId(id.0),
            mac,
            virtual_macs: Vec::new(),
            has_kernel: false,
            mtu: 1500,
            addresses: addresses.map(|(address, length)| (ip(address), length)).into(),
        };
        let routes = Routes::build([
            ((ip("0.0.0.0"), 0), WAN, Some(ip("10.0.0.254")), 0),
            ((ip("10.0.0.0"), 24), WAN, None, 0),
            ((ip("192.168.10.0"), 24), LAN, None, 0),
            ((ip("172.16.0.0"), 16), LAN, Some(ip("192.168.10.254")), 0),
            ((ip("::"), 0), WAN, Some(ip("fd00:a::fe")), 0),
            ((ip("fd00:a::"), 64), WAN, None, 0),
            ((ip("fd00:b::"), 64), LAN, None, 0),
        ]);
        let mut director = TestHost {
            host: IpHost::new(
                vec![
                    interface(WAN, "wan0", WAN_MAC, [("10.0.0.1", 24), ("fd00:a::1", 64)]),
                    interface(LAN, "lan0", LAN_MAC, [("192.168.10.1", 24), ("fd00:b::1", 64)]),
                ],
                Arc::new(routes),
                settings,
            ),
            sent: Sent::default(),
            now: Instant::from_secs(10),
        };
        let routers = [(WAN, ip("10.0.0.254")), (WAN, ip("fd00:a::fe"))];
        let neighbours = routers.map(|next_hop| (next_hop, ROUTER_MAC)).into();
        let vips = [ip("10.0.0.100"), ip("fd00:a::100")].map(|vip| (vip, true));
        let TestHost { host, sent, now } = &mut director;
        host.set_static_neighbours(&neighbours, *now, sent);
        host.change_virtual_addresses(vips, *now, sent);
        director.run(5);
        director.sent.frames.clear();
        director
    }

    fn punt(&mut self, punt: Punt<MemoryFrame>) -> Vec<(InterfaceId, Vec<u8>)> {
        self.host.input(punt, self.now, &mut self.sent);
        std::mem::take(&mut self.sent.frames)
    }

    fn input(
        &mut self,
        interface: InterfaceId,
        reason: PuntReason,
        bytes: &[u8],
    ) -> Vec<(InterfaceId, Vec<u8>)> {
        let frame = MemoryFrame::new(bytes);
        let detail = match reason {
            PuntReason::FragmentationNeeded => PuntDetail::Mtu(1480),
            _ => PuntDetail::None,
        };
        self.punt(Punt { interface, reason, detail, frame })
    }

    /// Forwards a rewritten frame to an address that is not resolved yet.
    fn forward(&mut self, next_hop: NextHopKey, bytes: &[u8]) -> Vec<(InterfaceId, Vec<u8>)> {
        self.forward_translated(next_hop, None, bytes)
    }

    /// As above for a frame changed by NAT.
    fn forward_translated(
        &mut self,
        next_hop: NextHopKey,
        original_destination: Option<(IpAddr, u16)>,
        bytes: &[u8],
    ) -> Vec<(InterfaceId, Vec<u8>)> {
        let frame = MemoryFrame::new(bytes);
        let reason = PuntReason::NeighbourUnresolved;
        let detail = PuntDetail::NextHop { next_hop, original_destination };
        self.punt(Punt { interface: WAN, reason, detail, frame })
    }

    fn arp(
        &mut self,
        interface: InterfaceId,
        arp: Arp,
        to: [u8; 6],
    ) -> Vec<(InterfaceId, Vec<u8>)> {
        let mut bytes = [0; 60];
        arp.write(&mut bytes, to);
        self.input(interface, PuntReason::Arp, &bytes)
    }

    fn nd(
        &mut self,
        interface: InterfaceId,
        (message, route): (ndp::Neighbour, ndp::Route),
    ) -> Vec<(InterfaceId, Vec<u8>)> {
        let mut bytes = [0; ndp::FRAME];
        let length = message.write(&mut bytes, &route);
        self.input(interface, PuntReason::NeighbourDiscovery, &bytes[..length])
    }

    /// Advances the clock by this many seconds.
    fn run(&mut self, seconds: u64) -> Vec<(InterfaceId, Vec<u8>)> {
        for _ in 0..seconds * 10 {
            self.now = self.now + Duration::from_millis(100);
            self.host.tick(self.now, &mut self.sent);
        }
        std::mem::take(&mut self.sent.frames)
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.host.dropped(reason)
    }

    fn mac(&self, address: &str) -> Option<[u8; 6]> {
        self.host.neighbours().find(|row| row.address == ip(address))?.mac
    }
}

fn client() -> PacketBuilder<u32> {
    frame().ipv4("11.22.33.44", "10.0.0.100").identification(7)
}

fn client6() -> PacketBuilder<u128> {
    frame().ipv6("2001:db8::44", "fd00:a::100")
}
