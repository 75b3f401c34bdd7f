//! The IP host on the control thread, given any frame for any punt reason: its frames are well formed, it does not
//! answer errors with errors, and it respects its rate limits.

use crate::oracle;
use crate::recipe::{Recipe, Upper};
use crate::support::testbed::ip;
use crate::support::{LAN_MAC, WAN_MAC};
use bolero::TypeGenerator;
use director::host::{IpHost, Outbox, Settings};
use director::io::{Frame, MemoryFrame};
use director::limits::NEIGHBOUR_QUEUES;
use director::model::{Interface, InterfaceId, PortId};
use director::packet::arp::Arp;
use director::packet::ethernet::{self, ETHERNET, Payload};
use director::packet::{Packet, Parse, Role, icmp};
use director::reason::{DropReason, Punt, PuntDetail, PuntReason};
use director::route::Routes;
use director::time::{Duration, Instant};
use std::sync::Arc;

const WAN: InterfaceId = InterfaceId(0);
const LAN: InterfaceId = InterfaceId(1);

#[derive(Clone, Debug, TypeGenerator)]
enum Step {
    Frame {
        reason: u8,
        mtu: u16,
        recipe: Recipe,
    },
    Raw {
        reason: u8,
        lan: bool,
        arp: bool,
        bytes: Vec<u8>,
    },
    /// Sends a frame to a neighbour.
    Send {
        lan: bool,
        last: u8,
    },
    /// An ARP packet from a neighbour.
    Arp {
        lan: bool,
        reply: bool,
        last: u8,
        mac: u8,
    },
    Tick {
        tenths: u8,
    },
    NoBuffers(bool),
}

#[derive(Default)]
struct Sent {
    frames: Vec<(InterfaceId, Vec<u8>)>,
    no_buffers: bool,
}

impl Outbox<MemoryFrame> for Sent {
    fn allocate(&mut self, _: InterfaceId) -> Option<MemoryFrame> {
        (!self.no_buffers).then(|| MemoryFrame::new(&[]))
    }

    fn send(&mut self, interface: InterfaceId, frame: MemoryFrame) {
        self.frames.push((interface, frame.bytes().to_vec()));
    }
}

fn host() -> IpHost<MemoryFrame> {
    let interface = |id: InterfaceId, name: &str, mac, addresses: [(&str, u8); 2]| Interface {
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
        ((ip("10.1.0.0"), 16), LAN, None, 0),
        ((ip("::"), 0), WAN, Some(ip("fd00:a::fe")), 0),
        ((ip("fd00:a::"), 32), WAN, None, 0),
        ((ip("fd00:b::"), 32), LAN, None, 0),
    ]);
    let interfaces = vec![
        interface(WAN, "wan0", WAN_MAC, [("10.0.0.1", 24), ("fd00:a::1", 64)]),
        interface(LAN, "lan0", LAN_MAC, [("10.1.0.1", 16), ("fd00:b::1", 64)]),
    ];
    IpHost::new(interfaces, Arc::new(routes), Settings::default())
}

fn interface(lan: bool) -> InterfaceId {
    if lan { LAN } else { WAN }
}

fn reason(number: u8) -> PuntReason {
    PuntReason::ALL[usize::from(number) % PuntReason::COUNT]
}

/// Checks a frame of the director itself: source MAC address and checksums.
fn check_own_frame<A: Parse>(frame: &[u8]) -> Packet<A> {
    let ip = &frame[ETHERNET..];
    let packet = A::parse(ip).unwrap_or_else(|reason| panic!("invalid frame sent: {reason:?}"));
    assert_ne!(oracle::is_upper_right(&packet, ip), Some(false), "{packet:?}");
    packet
}

fn check<A: Parse>(frame: &[u8], cause: Option<&[u8]>) {
    let said = check_own_frame::<A>(frame);
    let Some(cause) = cause.and_then(|cause| cause.get(ETHERNET..)) else { return };
    if said.role == Role::IcmpError
        && let Ok(packet) = A::parse(cause)
        && packet.protocol == icmp::protocol(A::FAMILY)
    {
        assert!(
            !icmp::is_error(A::FAMILY, packet.icmp_type),
            "an ICMP error about an ICMP error: {packet:?}"
        );
    }
}

struct Host {
    host: IpHost<MemoryFrame>,
    sent: Sent,
    now: Instant,
    /// Frames handed over for sending; the host did not build them.
    given: Vec<Vec<u8>>,
}

impl Host {
    fn input(&mut self, interface: InterfaceId, reason: PuntReason, mtu: u16, bytes: &[u8]) {
        let next_hop = (reason == PuntReason::NeighbourUnresolved).then(|| (LAN, ip("10.1.0.77")));
        if next_hop.is_some() {
            self.given.push(bytes.get(12..).unwrap_or_default().to_vec());
        }
        let frame = MemoryFrame::new(bytes);
        let detail = match (reason, next_hop) {
            (PuntReason::FragmentationNeeded, _) => PuntDetail::Mtu(mtu),
            (_, Some(next_hop)) => PuntDetail::NextHop { next_hop, original_destination: None },
            (_, None) => PuntDetail::None,
        };
        let punt = Punt { interface, reason, detail, frame };
        self.host.input(punt, self.now, &mut self.sent);
        self.look_at_sent(Some(bytes));
    }

    fn look_at_sent(&mut self, cause: Option<&[u8]>) {
        for (interface, frame) in std::mem::take(&mut self.sent.frames) {
            let own = if interface == LAN { LAN_MAC } else { WAN_MAC };
            assert_eq!(ethernet::source(&frame), own);
            if self.given.iter().any(|given| frame[12..].starts_with(given)) {
                continue;
            }
            match ethernet::ethernet(&frame).unwrap() {
                Payload::Arp => assert!(Arp::parse(&frame[ETHERNET..]).is_some()),
                Payload::Ipv4 => check::<u32>(&frame, cause),
                Payload::Ipv6 => check::<u128>(&frame, cause),
                Payload::Other(other) => panic!("sent a frame of type {:02x?}", other.octets()),
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Frame { reason: number, mtu, recipe } => {
                self.input(interface(recipe.is_from_lan()), reason(*number), *mtu, &recipe.frame());
            }
            Step::Raw { reason: number, lan, arp, bytes } => {
                let mut bytes = bytes.clone();
                if *arp && bytes.len() > 22 {
                    bytes[12..21].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0]);
                    bytes[21] %= 3;
                }
                self.input(interface(*lan), reason(*number), 1000, &bytes);
            }
            Step::Send { lan, last } => {
                let server = format!("10.1.0.{}", last % 8 + 2);
                let bytes = Recipe::datagram(&server);
                self.given.push(bytes[12..].to_vec());
                let next_hop = (interface(*lan), ip(&server));
                let (interface, reason, frame) =
                    (WAN, PuntReason::NeighbourUnresolved, MemoryFrame::new(&bytes));
                let detail = PuntDetail::NextHop { next_hop, original_destination: None };
                let punt = Punt { interface, reason, detail, frame };
                self.host.input(punt, self.now, &mut self.sent);
                self.look_at_sent(None);
            }
            Step::Arp { lan, reply, last, mac } => {
                let sender = 0x0a01_0000 | u32::from(last % 8 + 2);
                let mut arp = Arp::request([2, 0, 0, 0, 0x20, *mac], sender, 0x0a01_0001);
                if *reply {
                    let asked = Arp::request(LAN_MAC, 0x0a01_0001, sender);
                    arp = asked.answer([2, 0, 0, 0, 0x20, *mac]);
                }
                let mut bytes = [0; 60];
                arp.write(&mut bytes, port_mac(*lan));
                self.input(interface(*lan), PuntReason::Arp, 0, &bytes);
            }
            Step::Tick { tenths } => {
                for _ in 0..*tenths {
                    self.now = self.now + Duration::from_millis(100);
                    self.host.tick(self.now, &mut self.sent);
                }
                self.look_at_sent(None);
            }
            Step::NoBuffers(no_buffers) => self.sent.no_buffers = *no_buffers,
        }
    }
}

fn port_mac(lan: bool) -> [u8; 6] {
    if lan { LAN_MAC } else { WAN_MAC }
}

#[test]
fn any_frame_for_any_reason() {
    bolero::check!().with_type::<Vec<Step>>().with_test_time(crate::SHORT * 2).for_each(|steps| {
        let (sent, now) = (Sent::default(), Instant::from_secs(10));
        let mut host = Host { host: host(), sent, now, given: Vec::new() };
        let vips = [ip("10.0.0.100"), ip("fd00:a::100")].map(|vip| (vip, true));
        host.host.change_virtual_addresses(vips, now, &mut host.sent);
        host.look_at_sent(None);
        steps.iter().for_each(|step| host.step(step));
        let queued: u64 = host.host.neighbours().map(|row| row.queued as u64).sum();
        assert!(queued <= NEIGHBOUR_QUEUES as u64);
    });
}

/// ICMP errors of one burst are limited as on Linux.
#[test]
fn errors_are_rate_limited() {
    bolero::check!().with_type::<Vec<Recipe>>().with_test_time(crate::SHORT).for_each(|recipes| {
        let (sent, now) = (Sent::default(), Instant::from_secs(10));
        let mut host = Host { host: host(), sent, now, given: Vec::new() };
        let mut errors = 0;
        for recipe in recipes.iter().cycle().take(recipes.len() * 8) {
            let mut recipe = recipe.clone();
            recipe.is_ipv6 = false;
            if matches!(recipe.upper, Upper::Error { .. }) {
                recipe.upper = Upper::Echo;
            }
            let frame = MemoryFrame::new(&recipe.frame());
            let (interface, reason) = (WAN, PuntReason::TtlExpired);
            let punt = Punt { interface, reason, detail: PuntDetail::None, frame };
            host.host.input(punt, now, &mut host.sent);
        }
        // Replies are sent or wait for their neighbour; neighbour requests are not limited here.
        for (_, frame) in &host.sent.frames {
            errors += u64::from(matches!(ethernet::ethernet(frame), Ok(Payload::Ipv4)));
        }
        let queued: u64 = host.host.neighbours().map(|row| row.queued as u64).sum();
        let reasons = DropReason::ALL.iter();
        let reasons = reasons.filter(|reason| **reason != DropReason::IcmpRateLimited);
        let dropped = reasons.map(|reason| host.host.dropped(*reason));
        assert!(errors + queued <= 50, "{errors} sent, {queued} wait");
        assert!(dropped.sum::<u64>() <= recipes.len() as u64 * 8);
    });
}
