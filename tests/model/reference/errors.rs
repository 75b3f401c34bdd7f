//! ICMP errors about packets of connections.

use super::Reference;
use super::packets::forwarded;
use crate::observation::{Outcome, Sent};
use crate::site;
use crate::step::{IcmpError, Packet};
use director::model::{Counters, Family, ForwardMethod};
use director::reason::PuntReason;
use std::net::SocketAddr;

impl Reference {
    pub fn receive_error(&mut self, error: &IcmpError) -> Outcome {
        let family = Family::of(error.to);
        let is_related = match family {
            Family::Ipv4 => matches!(error.message_type, 3 | 4 | 11),
            Family::Ipv6 => error.message_type < 128,
        };
        let related = (is_related && self.serves(family)).then_some(error);
        match site::is_own(error.to) {
            true => match related.and_then(|error| self.answered_by_quoted(error)) {
                Some(index) => self.forward_to_server(error, index),
                None if related.is_some() && self.sysctls.schedule_icmp != 0 => {
                    self.scheduled(error)
                }
                // An error is never answered.
                None => Outcome::Host { because: PuntReason::LocalOther, answer: None },
            },
            false if error.ttl <= 1 => {
                Outcome::Host { because: PuntReason::TtlExpired, answer: None }
            }
            false => match related.and_then(|error| self.asked_by_quoted(error)) {
                Some(index) => self.forward_to_client(error, index),
                None => as_it_is(error),
            },
        }
    }

    /// About a reply of no connection: a connection is created.
    fn scheduled(&mut self, error: &IcmpError) -> Outcome {
        let (source, destination) = (error.about.destination, error.about.source);
        let request = Packet { source, destination, ..error.about };
        match self.schedule_error(&request) {
            Ok(service) => {
                let outcome = self.forward_to_server(error, 0);
                self.end_one_packet(service, &request);
                outcome
            }
            Err(outcome) => *outcome,
        }
    }

    /// From a client, about a reply: the connection of that reply.
    fn answered_by_quoted(&self, error: &IcmpError) -> Option<usize> {
        let about = &error.about;
        self.find_connection(about.protocol, about.destination, about.source)
    }

    /// From a server or a router, about a request as the server received it.
    fn asked_by_quoted(&self, error: &IcmpError) -> Option<usize> {
        let about = &error.about;
        self.find_answered(about.protocol, about.source, about.destination)
    }

    fn forward_to_server(&mut self, error: &IcmpError, index: usize) -> Outcome {
        let connection = &self.connections[index];
        let (number, method) = (connection.destination, connection.method);
        let (connected, mut quoted) = (connection.server, error.about.source);
        let server = self.destinations[number].spec.at.address;
        let counted =
            Counters { in_packets: 1, in_bytes: error.length().into(), ..Counters::default() };
        self.count(number, counted);
        if error.ttl <= 1 {
            return Outcome::Host { because: PuntReason::TtlExpired, answer: None };
        }
        let by = site::port_towards(server);
        let mut sent = Sent { by, next_hop: server, ..header(error) };
        match method {
            ForwardMethod::Masq => {
                sent.destination.set_ip(server);
                quoted = connected;
            }
            ForwardMethod::Route => {}
            ForwardMethod::Tunnel => {
                let source = site::own(by, Family::of(server));
                sent.outer = Some((source, server, error.ttl - 1));
            }
        }
        Outcome::SentError(sent, quoted, error.about.destination)
    }

    fn forward_to_client(&mut self, error: &IcmpError, index: usize) -> Outcome {
        let connection = &self.connections[index];
        let (number, is_masq) = (connection.destination, connection.method == ForwardMethod::Masq);
        let virtual_address = connection.virtual_address;
        let counted =
            Counters { out_packets: 1, out_bytes: error.length().into(), ..Counters::default() };
        self.count(number, counted);
        let mut sent = header(error);
        let mut quoted = error.about.destination;
        if is_masq {
            sent.source.set_ip(virtual_address.ip());
            quoted = virtual_address;
        }
        Outcome::SentError(sent, error.about.source, quoted)
    }
}

/// The forwarded error.
fn header(error: &IcmpError) -> Sent {
    forwarded(SocketAddr::new(error.sender, 0), SocketAddr::new(error.to, 0), error.ttl)
}

fn as_it_is(error: &IcmpError) -> Outcome {
    Outcome::SentError(header(error), error.about.source, error.about.destination)
}
