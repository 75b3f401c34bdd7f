//! The path of a packet through the director.

use super::Reference;
use super::scheduling::local_stack;
use super::tcp::{Side, TcpState};
use crate::observation::{Answer, AnswerKind, Outcome, Sent, Why};
use crate::site;
use crate::step::Packet;
use director::model::{Counters, Family, ForwardMethod, Protocol, ServiceKey};
use director::packet::tcp;
use director::reason::PuntReason;
use std::net::{IpAddr, SocketAddr};

impl Reference {
    pub fn receive(&mut self, packet: &Packet) -> Outcome {
        let outcome = match site::is_own(packet.destination.ip()) {
            true if !self.serves(packet.family()) => local_stack(packet),
            true => self.inbound(packet),
            false => self.through(packet),
        };
        // Without services of the family IPVS sees no packet, so not that of the director either.
        if let Outcome::Host { answer: Some(answer), .. } = &outcome
            && self.serves(packet.family())
        {
            self.passes_out(packet, answer.kind);
        }
        outcome
    }

    /// The director's own answer to a packet passes the packet's connection on its way out, if it seems to come from the
    /// server.
    fn passes_out(&mut self, packet: &Packet, answer: AnswerKind) {
        let found = self.find_connection(packet.protocol, packet.source, packet.destination);
        let Some(index) = found.filter(|&index| !self.is_by_nat(index)) else { return };
        let is_reset = matches!(answer, AnswerKind::Reset);
        let length = match (packet.family(), is_reset) {
            (Family::Ipv4, true) => 40,
            (Family::Ipv6, true) => 60,
            (Family::Ipv4, false) => (packet.length() + 28).min(576),
            (Family::Ipv6, false) => (packet.length() + 48).min(1280),
        };
        let counted = Counters { out_packets: 1, out_bytes: length.into(), ..Counters::default() };
        self.count(self.connections[index].destination, counted);
        if is_reset {
            self.connections[index].no_output = false;
            let reset = Packet { flags: tcp::RST | tcp::ACK, ..*packet };
            self.advance(index, Side::Output, &reset);
        }
    }

    fn is_by_nat(&self, index: usize) -> bool {
        self.connections[index].method == ForwardMethod::Masq
    }

    /// A packet to an address of the director.
    fn inbound(&mut self, packet: &Packet) -> Outcome {
        let found = self.find_connection(packet.protocol, packet.source, packet.destination);
        let Some(index) = found else { return self.schedule(packet) };
        if packet.protocol == Protocol::Tcp && packet.has(tcp::SYN) && self.is_replaceable(index) {
            return self.replace(index, packet);
        }
        if self.is_available(self.connections[index].destination) {
            return self.request(packet, index);
        }
        match self.sysctls.expire_nodest_conn {
            0 => Outcome::Dropped(Why::DestinationUnavailable),
            _ => self.replace(index, packet),
        }
    }

    /// The old connection's timer is set to now, but it fires only after the packet was scheduled. The director's own reset
    /// is sent before that and starts the timer again.
    fn replace(&mut self, index: usize, packet: &Packet) -> Outcome {
        let before = self.connections.len();
        let outcome = self.schedule(packet);
        let is_alone = self.connections.len() == before;
        let is_reset = matches!(
            outcome,
            Outcome::Host { answer: Some(Answer { kind: AnswerKind::Reset, .. }), .. }
        );
        let old = index + self.connections.len() - before;
        if !(is_alone && is_reset && !self.is_by_nat(old)) {
            self.remove_connection(old);
        }
        outcome
    }

    fn is_replaceable(&self, index: usize) -> bool {
        let connection = &self.connections[index];
        let is_quiesced = self.destinations[connection.destination].spec.weight == 0;
        if self.sysctls.expire_nodest_conn != 0 && is_quiesced {
            return true;
        }
        let mode = self.sysctls.conn_reuse_mode;
        mode != 0
            && connection.template.is_none()
            && match connection.state {
                TcpState::TimeWait | TcpState::Close => true,
                TcpState::FinWait => mode & 2 != 0 && connection.no_output,
                _ => false,
            }
    }

    /// A client's packet of a usable connection.
    pub(super) fn request(&mut self, packet: &Packet, index: usize) -> Outcome {
        let destination = self.connections[index].destination;
        let counted =
            Counters { in_packets: 1, in_bytes: packet.length().into(), ..Counters::default() };
        self.count(destination, counted);
        let side = match self.connections[index].no_output {
            true => Side::InputOnly,
            false => Side::Input,
        };
        self.advance(index, side, packet);
        self.transmit(packet, index)
    }

    /// Sets the state after a packet and restarts the timer.
    fn advance(&mut self, index: usize, side: Side, packet: &Packet) {
        let is_secure = self.sysctls.secure_tcp == 3;
        let (now, timeouts) = (self.now, self.timeouts);
        let connection = &mut self.connections[index];
        connection.started = now;
        let mut assures = false;
        let seconds = match connection.protocol {
            Protocol::Tcp => {
                let old = connection.state;
                connection.state = old.after(side, packet.flags, is_secure);
                assures = old != TcpState::Established && connection.state == TcpState::Established;
                match connection.state {
                    TcpState::Established => timeouts.tcp.into(),
                    TcpState::FinWait => timeouts.tcp_fin.into(),
                    state => state.timeout_s(),
                }
            }
            _ => {
                assures |= side == Side::Output;
                timeouts.udp.into()
            }
        };
        connection.timeout_ms = seconds * 1000;
        let template = connection.template;
        if assures {
            self.assure(template);
        }
    }

    fn transmit(&self, packet: &Packet, index: usize) -> Outcome {
        let connection = &self.connections[index];
        let server = self.destinations[connection.destination].spec.at.address;
        let virtual_ip = packet.destination.ip();
        let answer = |because, kind| {
            host(because, Answer { kind, from: virtual_ip, to: packet.source.ip() })
        };
        if packet.ttl <= 1 {
            return answer(PuntReason::TtlExpired, AnswerKind::TimeExceeded);
        }
        let overhead = match (connection.method, Family::of(server)) {
            (ForwardMethod::Tunnel, Family::Ipv4) => 20,
            (ForwardMethod::Tunnel, Family::Ipv6) => 40,
            _ => 0,
        };
        let mtu = site::MTU - overhead;
        if packet.length() > mtu {
            return answer(PuntReason::FragmentationNeeded, AnswerKind::TooBig(mtu));
        }
        let ttl = packet.ttl - 1;
        let by = site::port_towards(server);
        let mut sent = Sent {
            by,
            next_hop: server,
            outer: None,
            source: packet.source,
            destination: packet.destination,
            ttl,
        };
        match connection.method {
            ForwardMethod::Masq => sent.destination = connection.server,
            ForwardMethod::Route => {}
            ForwardMethod::Tunnel => {
                sent.outer = Some((site::own(by, Family::of(server)), server, ttl));
            }
        }
        Outcome::Sent(sent)
    }

    /// A packet to another host: routed, possibly a reply.
    fn through(&mut self, packet: &Packet) -> Outcome {
        let from = site::own(packet.by, packet.family());
        let to = packet.source.ip();
        let answered = match self.serves(packet.family()) {
            true => self.find_answered(packet.protocol, packet.destination, packet.source),
            false => None,
        };
        // The director's own addresses as a source are valid only for replies by direct routing.
        if answered.is_none() && packet.family() == Family::Ipv4 && site::is_own(to) {
            return Outcome::Dropped(Why::Martian);
        }
        if packet.ttl <= 1 {
            // A direct-routing reply has the director's address as its source, so no error is sent.
            let answer = Answer { kind: AnswerKind::TimeExceeded, from, to };
            let answer = (!site::is_own(to)).then_some(answer);
            return Outcome::Host { because: PuntReason::TtlExpired, answer };
        }
        let mut sent = forwarded(packet.source, packet.destination, packet.ttl);
        if !self.serves(packet.family()) {
            return Outcome::Sent(sent);
        }
        if let Some(index) = answered {
            if self.connections[index].method == ForwardMethod::Masq {
                sent.source = self.connections[index].virtual_address;
            }
            let counted = Counters {
                out_packets: 1,
                out_bytes: packet.length().into(),
                ..Counters::default()
            };
            self.count(self.connections[index].destination, counted);
            self.connections[index].no_output = false;
            self.advance(index, Side::Output, packet);
        } else if self.sysctls.nat_icmp_send != 0
            && !packet.has(tcp::RST)
            && self.is_nat_server(packet)
        {
            return port_unreachable(packet, PuntReason::NatIcmpSend, from);
        }
        Outcome::Sent(sent)
    }

    /// True if the packet's sender is a NAT destination.
    fn is_nat_server(&self, packet: &Packet) -> bool {
        let at = packet.source;
        self.services.iter().any(|service| {
            let serves = match service.spec.key {
                ServiceKey::Address { protocol, .. } => protocol == packet.protocol,
                ServiceKey::Fwmark { .. } => true,
            };
            serves
                && service.destinations.iter().any(|&number| {
                    let spec = &self.destinations[number].spec;
                    spec.method == ForwardMethod::Masq
                        && (spec.at.address, spec.at.port) == (at.ip(), at.port())
                })
        })
    }
}

/// A packet with this TTL, forwarded.
pub fn forwarded(source: SocketAddr, destination: SocketAddr, ttl: u8) -> Sent {
    let next_hop = destination.ip();
    let by = site::port_towards(next_hop);
    Sent { by, next_hop, outer: None, source, destination, ttl: ttl - 1 }
}

pub fn host(because: PuntReason, answer: Answer) -> Outcome {
    Outcome::Host { because, answer: Some(answer) }
}

pub fn port_unreachable(packet: &Packet, because: PuntReason, from: IpAddr) -> Outcome {
    host(because, Answer { kind: AnswerKind::PortUnreachable, from, to: packet.source.ip() })
}
