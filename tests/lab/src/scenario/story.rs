//! A whole scenario.

use super::packet::Packet;
use super::service::{Destination, Method, Protocol, Service};
use super::traffic::{self, Flow};
use super::{Action, Frame, Random, Scenario, errors};
use crate::topology::Topology;
use std::net::IpAddr;

/// Settings that affect packets, with values to try.
const SETTINGS: [(&str, &[&str]); 12] = [
    ("expire_nodest_conn", &["0", "1"]),
    ("expire_quiescent_template", &["0", "1"]),
    ("nat_icmp_send", &["0", "1"]),
    ("conn_reuse_mode", &["0", "1", "2", "3"]),
    ("sloppy_tcp", &["0", "1"]),
    ("sloppy_sctp", &["0", "1"]),
    ("schedule_icmp", &["0", "1"]),
    ("cache_bypass", &["0", "1"]),
    ("pmtu_disc", &["0", "1"]),
    ("secure_tcp", &["0", "3"]),
    ("drop_packet", &["0", "3"]),
    ("am_droprate", &["2", "3"]),
];

const LISTINGS: [&str; 9] = [
    "-Ln",
    "-Ln --thresholds",
    "-Ln --persistent-conn",
    "-Ln --nosort",
    "-Ln --exact",
    "-Lnc",
    "-Lnc --persistent-conn",
    "-Sn",
    "-L --timeout",
];

/// Statistics are updated every 2 seconds; a listing of them follows a wait of this many seconds.
const STATISTICS: f64 = 2.3;
/// `--set` makes timeouts so short that connections expire within a wait of `EXPIRY` seconds.
pub(super) const SHORT: &str = "--set 8 8 8";
const EXPIRY: f64 = 11.5;

/// A scenario under construction.
pub(super) struct Story<'a> {
    topology: &'a Topology,
    pub(super) random: Random,
    pub(super) services: Vec<Service>,
    flows: Vec<Flow>,
    pub(super) actions: Vec<Action>,
}

#[derive(Clone, Copy)]
enum Event {
    Request,
    Answer,
    Error,
    Stranger,
    Edit,
    Setting,
    Wait,
    Listing,
}

const EVENTS: [(usize, Event); 8] = [
    (45, Event::Request),
    (18, Event::Answer),
    (9, Event::Error),
    (3, Event::Stranger),
    (13, Event::Edit),
    (3, Event::Setting),
    (2, Event::Wait),
    (6, Event::Listing),
];

/// Scenario `number` of a seed.
pub(super) fn draw(topology: &Topology, seed: u64, number: u64) -> Scenario {
    let mut random = Random::new(seed, number);
    let count = random.weighted(&[(4, 1), (4, 2), (2, 3)]);
    let services: Vec<Service> = (0..count).map(|at| Service::draw(&mut random, at)).collect();
    let sysctl = match random.chance(35) {
        true => vec![setting(&mut random)],
        false => Vec::new(),
    };
    let marks = services.iter().map(Service::mark_rules).filter(|rules| !rules.is_empty());
    let marks = marks.collect();
    let mut story = Story { topology, random, services, flows: Vec::new(), actions: Vec::new() };
    story.tell();
    Scenario { name: format!("diff-{seed}-{number}"), sysctl, marks, actions: story.actions }
}

/// True if the director forwards fragments of this service like the kernel. It puts each fragment into its own tunnel
/// packet, and cannot change the port in fragments of SCTP.
fn may_be_cut(service: &Service) -> bool {
    let tunnelled = service.destinations.iter().any(|by| by.method == Method::Tunnel);
    !tunnelled && !service.sip && service.protocol != Protocol::Sctp
}

fn setting(random: &mut Random) -> (String, String) {
    let (name, values) = random.pick(&SETTINGS);
    (name.to_owned(), random.pick(values).to_owned())
}

impl Story<'_> {
    fn tell(&mut self) {
        if self.random.chance(12) {
            self.run(SHORT);
        }
        for at in 0..self.services.len() {
            self.add_service(at);
        }
        for _ in 0..self.random.weighted(&[(1, 4), (3, 8), (3, 14), (1, 24)]) {
            let event = self.random.weighted(&EVENTS);
            self.happen(event);
        }
        // The director counts fragments, the kernel datagrams.
        let is_cut = |action: &Action| matches!(action, Action::Packet(frame) if frame.packet.fragments.is_some());
        if self.random.chance(25) && !self.actions.iter().any(is_cut) {
            self.actions.push(Action::Wait(STATISTICS));
            self.run("-Ln --stats --exact");
        }
        self.run("-Ln");
        self.run("-Lnc");
        self.run("-Sn");
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request => self.request(),
            Event::Answer => self.answer(),
            Event::Error => self.error(),
            Event::Stranger => {
                let service = self.random.pick(&self.services);
                let packet = traffic::stranger(&mut self.random, &service);
                let from = packet.source;
                self.send(packet, from);
            }
            Event::Edit => self.edit(),
            Event::Setting => {
                let (name, value) = setting(&mut self.random);
                self.actions.push(Action::Setting(name, value));
            }
            Event::Wait => {
                let seconds = self.random.weighted(&[(6, 0.3), (1, EXPIRY)]);
                self.actions.push(Action::Wait(seconds));
            }
            Event::Listing => {
                let listing = self.random.pick(&LISTINGS);
                self.run(listing);
            }
        }
    }

    pub(super) fn run(&mut self, command: impl Into<String>) {
        self.actions.push(Action::command(command));
    }

    fn send(&mut self, packet: Packet, link: IpAddr) {
        self.actions.push(Action::Packet(Frame::arriving(self.topology, packet, link)));
    }

    fn request(&mut self) {
        let first = self.flows.is_empty() || self.random.chance(35);
        let flow = if first {
            let at = self.random.below(self.services.len());
            let flow = Flow::draw(&mut self.random, at, &self.services[at]);
            self.flows.push(flow.clone());
            flow
        } else {
            self.random.pick(&self.flows)
        };
        let service = &self.services[flow.service];
        let mut packet = flow.request(&mut self.random, service, first);
        if may_be_cut(service) && self.random.chance(6) {
            packet = Flow::cut(&mut self.random, packet);
        }
        self.send(packet, flow.client);
    }

    /// An open flow, its service and one of the destinations.
    fn conversation(&mut self) -> Option<(Flow, Service, Destination)> {
        if self.flows.is_empty() {
            return None;
        }
        let flow = self.random.pick(&self.flows);
        let service = self.services[flow.service].clone();
        let destination = self.random.pick(&service.destinations);
        Some((flow, service, destination))
    }

    fn answer(&mut self) {
        let Some((flow, service, by)) = self.conversation() else { return };
        if by.method != Method::Nat && service.vip.is_ipv4() {
            return;
        }
        let mut packet = flow.answer(&mut self.random, &service, &by);
        if by.method != Method::Nat {
            packet.ttl = 64;
        } else if may_be_cut(&service) && self.random.chance(6) {
            packet = Flow::cut(&mut self.random, packet);
        }
        self.send(packet, by.address);
    }

    fn error(&mut self) {
        let Some((flow, service, by)) = self.conversation() else { return };
        let random = &mut self.random;
        let packet = match random.below(3) {
            0 => errors::about_answer(random, &flow, &service, &by),
            1 => errors::about_request(random, &flow, &service, &by),
            _ => match errors::about_tunnel(random, &flow, &service, &by) {
                Some(packet) => packet,
                None => errors::about_answer(random, &flow, &service, &by),
            },
        };
        let from = packet.source;
        self.send(packet, from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Step;
    use std::path::Path;

    fn topology() -> Topology {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/topology.json");
        Topology::read(&path).unwrap()
    }

    #[test]
    fn a_number_determines_the_scenario() {
        let topology = topology();
        for number in 0..50 {
            let scenario = draw(&topology, 1, number);
            assert_eq!(scenario, draw(&topology, 1, number));
            assert_ne!(scenario.actions, draw(&topology, 2, number).actions);
        }
    }

    /// In every scenario frames come from neighbours on the right port, and listings show the results.
    #[test]
    fn scenarios_are_valid() {
        let topology = topology();
        for number in 0..300 {
            let steps = draw(&topology, 3, number).transcript("").steps;
            assert!(steps.len() < 60, "{number}: {} steps", steps.len());
            let frames = steps.iter().flat_map(|step| match step {
                Step::Send { send, .. } => std::slice::from_ref(send),
                Step::Burst { burst, .. } => burst,
                _ => &[],
            });
            for sent in frames {
                let port = &topology.ports[&sent.port];
                let mac = sent.frame[6..12].iter().map(|byte| format!("{byte:02x}"));
                let mac = mac.collect::<Vec<_>>().join(":");
                assert!(port.neigh.values().any(|known| *known == mac), "{number}: {mac}");
            }
            assert!(
                matches!(steps.last(), Some(Step::Command { ipvsadm, .. }) if ipvsadm == "-Sn")
            );
        }
    }
}
