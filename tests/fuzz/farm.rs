//! A director with a service for everything it can do, for random frames to meet.

use crate::recipe::{MAPPED, PORTS};
use crate::support::TestSnapshot;
use crate::support::director::{Shape, TestDirector};
use director::model::{
    DestinationId, Family, ForwardMethod, Protocol, SchedulerKind, Tunnel, TunnelChecksum,
};
use director::snapshot::{Mark, MarkPrefix};

/// What the service of one port does with its packets.
#[derive(Clone, Copy, Debug)]
enum Way {
    Direct,
    Nat,
    Tunnel(Tunnel),
    /// To a server of the other family.
    OtherFamily(Tunnel),
    PersistentNat,
    OnePacket,
    Nobody,
    Quiesced,
    Limited,
}

/// By port, from `PORTS` on.
const WAYS: [Way; 15] = [
    Way::Direct,
    Way::Nat,
    Way::Tunnel(Tunnel::Ipip),
    Way::Tunnel(Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None }),
    Way::Tunnel(Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Full }),
    Way::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::None }),
    Way::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::Full }),
    Way::OtherFamily(Tunnel::Ipip),
    Way::OtherFamily(Tunnel::Gre { checksum: TunnelChecksum::Full }),
    Way::PersistentNat,
    Way::OnePacket,
    Way::Nobody,
    Way::Quiesced,
    Way::Limited,
    Way::Nat,
];

/// Destinations, and the snapshot they are in.
pub struct Farm {
    pub snapshot: TestSnapshot,
    pub destinations: Vec<DestinationId>,
}

impl Farm {
    /// MTUs far above anything sent, so that nothing is cut into pieces.
    pub fn new() -> Self {
        let mut farm = Farm { snapshot: TestSnapshot::new(), destinations: Vec::new() };
        farm.snapshot.mtu = [9000, 9000];
        let vips = [(Family::Ipv4, "10.0.0.100"), (Family::Ipv6, "[fd00:a::100]")];
        let mut kinds = SchedulerKind::ALL.into_iter().filter(|kind| *kind != SchedulerKind::None);
        let mut kinds = std::iter::from_fn(move || Some(kinds.next().unwrap_or(SchedulerKind::Rr)));
        for (family, vip) in vips {
            for protocol in Protocol::ALL {
                for (port, way) in (PORTS..).zip(WAYS) {
                    let kind = kinds.next().unwrap();
                    let at = format!("{vip}:{port}");
                    farm.serve(family, protocol, &at, port, way, kind);
                }
            }
        }
        farm.mark_service();
        farm
    }

    fn serve(
        &mut self,
        family: Family,
        protocol: Protocol,
        at: &str,
        port: u16,
        way: Way,
        kind: SchedulerKind,
    ) {
        let service = self.snapshot.service(protocol, at, kind);
        let (method, tunnel) = match way {
            Way::Direct | Way::Quiesced | Way::Limited => (ForwardMethod::Route, Tunnel::Ipip),
            Way::Nat | Way::PersistentNat | Way::OnePacket => (ForwardMethod::Masq, Tunnel::Ipip),
            Way::Tunnel(tunnel) | Way::OtherFamily(tunnel) => (ForwardMethod::Tunnel, tunnel),
            Way::Nobody => return,
        };
        match way {
            Way::PersistentNat => self.snapshot.persist(service, 10),
            Way::OnePacket => self.snapshot.edit_service(service, |spec| spec.one_packet = true),
            _ => {}
        }
        let is_ipv6 = (family == Family::Ipv6) != matches!(way, Way::OtherFamily(_));
        let port = if method == ForwardMethod::Masq { port + MAPPED } else { port };
        for server in 11..15 {
            let at = match is_ipv6 {
                true => format!("[fd00:b::{server}]:{port}"),
                false => format!("10.1.0.{server}:{port}"),
            };
            let id = self.snapshot.destination(service, &at, method);
            self.snapshot.edit_destination(id, |spec| {
                spec.tunnel = tunnel;
                match way {
                    Way::Quiesced => spec.weight = 0,
                    Way::Limited => spec.upper_threshold = 1,
                    _ => spec.weight = server % 3 + 1,
                }
            });
            self.destinations.push(id);
        }
    }

    /// Whatever is sent to the second virtual address carries a mark.
    fn mark_service(&mut self) {
        let service = self.snapshot.mark_service(7, Family::Ipv4, SchedulerKind::Lblcr);
        for server in 11..15 {
            let at = format!("10.1.0.{server}:0");
            self.destinations.push(self.snapshot.destination(service, &at, ForwardMethod::Masq));
        }
        let vip = MarkPrefix { address: 0x0a00_0065, length: 32, is_ipv6: false };
        self.snapshot.marks.push(Mark {
            interface: None,
            protocol: None,
            source: None,
            destination: Some(vip),
            source_ports: 0..=u16::MAX,
            destination_ports: 0..=u16::MAX,
            mark: 7,
        });
    }

    pub fn director(self, shape: Shape) -> (TestDirector, Vec<DestinationId>) {
        (TestDirector::shaped(self.snapshot, shape), self.destinations)
    }
}
