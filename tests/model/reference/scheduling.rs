//! Packets of no connection.

use super::packets::{host, port_unreachable};
use super::tcp::TcpState;
use super::{Connection, Reference};
use crate::observation::{Answer, AnswerKind, Outcome, Why};
use crate::step::Packet;
use director::model::{Counters, ForwardMethod, Protocol};
use director::packet::tcp;
use director::reason::PuntReason;
use std::net::SocketAddr;

/// Destination of a new connection.
pub struct Choice {
    pub destination: usize,
    pub port: u16,
    pub template: Option<u64>,
}

impl Reference {
    pub(super) fn schedule(&mut self, packet: &Packet) -> Outcome {
        let opens = match packet.protocol {
            Protocol::Tcp => {
                !packet.has(tcp::RST) && (packet.has(tcp::SYN) || self.sysctls.sloppy_tcp != 0)
            }
            _ => true,
        };
        if !opens {
            return local_stack(packet);
        }
        let Some(service) = self.service_for(packet) else { return local_stack(packet) };
        if self.is_dropped_by_rate() {
            return Outcome::Dropped(Why::DropPacket);
        }
        if packet.source.port() == 20 {
            return local_stack(packet);
        }
        match self.choose(service, packet) {
            Some(choice) => self.connect(service, packet, choice),
            None if self.is_ftp_data(service, packet) => local_stack(packet),
            None => port_unreachable(packet, PuntReason::NoDestination, packet.destination.ip()),
        }
    }

    /// Creates a connection for a quoted `packet` because of an ICMP error about it (`schedule_icmp`), without the
    /// state machine. `Err`: the outcome if no connection is created.
    pub(super) fn schedule_error(&mut self, packet: &Packet) -> Result<usize, Box<Outcome>> {
        let host = Box::new(Outcome::Host { because: PuntReason::LocalOther, answer: None });
        // The error has no mark, even if the rules give one to the quoted packet.
        let Some(service) = self.address_service_for(packet) else { return Err(host) };
        if self.is_dropped_by_rate() {
            return Err(Box::new(Outcome::Dropped(Why::DropPacket)));
        }
        if packet.source.port() == 20 {
            return Err(host);
        }
        match self.choose(service, packet) {
            Some(choice) => {
                self.bind(packet, choice);
                Ok(service)
            }
            None if self.is_ftp_data(service, packet) => Err(host),
            None => Err(Box::new(Outcome::Dropped(Why::Other))),
        }
    }

    fn is_ftp_data(&self, service: usize, packet: &Packet) -> bool {
        self.services[service].spec.key.port() == 21 && packet.destination.port() != 21
    }

    fn choose(&mut self, service: usize, packet: &Packet) -> Option<Choice> {
        let key = self.services[service].spec.key;
        let asked = packet.destination.port();
        match self.services[service].spec.persistence {
            Some(persistence) => self.persist(service, packet, persistence),
            None if !key.is_fwmark() && asked != key.port() => None,
            None => self.pick(service, packet).map(|destination| {
                let own = self.destinations[destination].spec.at.port;
                Choice { destination, port: if own == 0 { asked } else { own }, template: None }
            }),
        }
    }

    /// drop_packet in mode 3.
    fn is_dropped_by_rate(&mut self) -> bool {
        let rate = i64::from(self.sysctls.am_droprate);
        if self.sysctls.drop_packet != 3 || rate == 0 {
            return false;
        }
        self.drop_counter -= 1;
        if self.drop_counter > 0 {
            return false;
        }
        self.drop_counter = rate;
        true
    }

    fn connect(&mut self, service: usize, packet: &Packet, choice: Choice) -> Outcome {
        self.bind(packet, choice);
        let outcome = self.request(packet, 0);
        self.end_one_packet(service, packet);
        outcome
    }

    /// Ends the newest connection if its service uses one-packet scheduling.
    pub(super) fn end_one_packet(&mut self, service: usize, packet: &Packet) {
        if self.services[service].spec.one_packet && packet.protocol == Protocol::Udp {
            self.remove_connection(0);
        }
    }

    fn bind(&mut self, packet: &Packet, choice: Choice) {
        let destination = &self.destinations[choice.destination];
        let method = destination.spec.method;
        let connection = Connection {
            protocol: packet.protocol,
            client: packet.source,
            virtual_address: packet.destination,
            destination: choice.destination,
            server: SocketAddr::new(destination.spec.at.address, choice.port),
            method,
            state: TcpState::None,
            no_output: method != ForwardMethod::Masq,
            template: choice.template,
            timeout_ms: 3000,
            started: self.now,
        };
        self.connections.insert(0, connection);
        self.bound(choice.destination);
        self.count(choice.destination, Counters { connections: 1, ..Counters::default() });
    }
}

/// The host's answer for an unserved port.
pub fn local_stack(packet: &Packet) -> Outcome {
    let because = PuntReason::UnservedPort;
    let (from, to) = (packet.destination.ip(), packet.source.ip());
    match packet.protocol {
        Protocol::Tcp if packet.has(tcp::RST) => Outcome::Host { because, answer: None },
        Protocol::Tcp => host(because, Answer { kind: AnswerKind::Reset, from, to }),
        _ => port_unreachable(packet, because, from),
    }
}
