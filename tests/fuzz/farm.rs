//! A director with services of many kinds, for random frames.

use crate::recipe::{MAPPED, PORTS};
use crate::support::TestSnapshot;
use crate::support::director::{Shape, TestDirector};
use director::model::{
    DestinationId, Family, ForwardMethod, Protocol, SchedulerKind, Tunnel, TunnelChecksum,
};
use director::snapshot::{Mark, MarkPrefix};

/// How the service of one port treats its packets.
#[derive(Clone, Copy, Debug)]
enum Handling {
    Direct,
    Nat,
    Tunnel(Tunnel),
    /// To servers of the other address family.
    OtherFamily(Tunnel),
    PersistentNat,
    OnePacket,
    Nobody,
    Quiesced,
    Limited,
}

/// Indexed by port, from `PORTS` on.
const HANDLINGS: [Handling; 15] = [
    Handling::Direct,
    Handling::Nat,
    Handling::Tunnel(Tunnel::Ipip),
    Handling::Tunnel(Tunnel::Gue { port: 6080, checksum: TunnelChecksum::None }),
    Handling::Tunnel(Tunnel::Gue { port: 6080, checksum: TunnelChecksum::Full }),
    Handling::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::None }),
    Handling::Tunnel(Tunnel::Gre { checksum: TunnelChecksum::Full }),
    Handling::OtherFamily(Tunnel::Ipip),
    Handling::OtherFamily(Tunnel::Gre { checksum: TunnelChecksum::Full }),
    Handling::PersistentNat,
    Handling::OnePacket,
    Handling::Nobody,
    Handling::Quiesced,
    Handling::Limited,
    Handling::Nat,
];

/// A snapshot and its destinations.
pub struct Farm {
    pub snapshot: TestSnapshot,
    pub destinations: Vec<DestinationId>,
}

impl Farm {
    /// MTUs above any frame sent, so that nothing is fragmented.
    pub fn new() -> Self {
        let mut farm = Farm { snapshot: TestSnapshot::new(), destinations: Vec::new() };
        farm.snapshot.mtu = [9000, 9000];
        let vips = [(Family::Ipv4, "10.0.0.100"), (Family::Ipv6, "[fd00:a::100]")];
        let mut kinds = SchedulerKind::ALL.into_iter().filter(|kind| *kind != SchedulerKind::None);
        let mut kinds = std::iter::from_fn(move || Some(kinds.next().unwrap_or(SchedulerKind::Rr)));
        for (family, vip) in vips {
            for protocol in Protocol::ALL {
                for (port, handling) in (PORTS..).zip(HANDLINGS) {
                    let kind = kinds.next().unwrap();
                    let at = format!("{vip}:{port}");
                    farm.serve(family, protocol, &at, port, handling, kind);
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
        handling: Handling,
        kind: SchedulerKind,
    ) {
        let service = self.snapshot.service(protocol, at, kind);
        let (method, tunnel) = match handling {
            Handling::Direct | Handling::Quiesced | Handling::Limited => {
                (ForwardMethod::Route, Tunnel::Ipip)
            }
            Handling::Nat | Handling::PersistentNat | Handling::OnePacket => {
                (ForwardMethod::Masq, Tunnel::Ipip)
            }
            Handling::Tunnel(tunnel) | Handling::OtherFamily(tunnel) => {
                (ForwardMethod::Tunnel, tunnel)
            }
            Handling::Nobody => return,
        };
        match handling {
            Handling::PersistentNat => self.snapshot.persist(service, 10),
            Handling::OnePacket => {
                self.snapshot.edit_service(service, |spec| spec.one_packet = true)
            }
            _ => {}
        }
        let is_ipv6 = (family == Family::Ipv6) != matches!(handling, Handling::OtherFamily(_));
        let port = if method == ForwardMethod::Masq { port + MAPPED } else { port };
        for server in 11..15 {
            let at = match is_ipv6 {
                true => format!("[fd00:b::{server}]:{port}"),
                false => format!("10.1.0.{server}:{port}"),
            };
            let id = self.snapshot.destination(service, &at, method);
            self.snapshot.edit_destination(id, |spec| {
                spec.tunnel = tunnel;
                match handling {
                    Handling::Quiesced => spec.weight = 0,
                    Handling::Limited => spec.upper_threshold = 1,
                    _ => spec.weight = server % 3 + 1,
                }
            });
            self.destinations.push(id);
        }
    }

    /// A service by mark for everything sent to the second VIP.
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
