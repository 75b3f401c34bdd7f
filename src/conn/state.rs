//! State changes by packets, for all protocols.

use super::step::{Mode, Side, Step, count};
use super::{sctp, tcp, udp};
use crate::model::{Protocol, Timeouts};

/// What the state machine uses of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    Tcp(tcp::TcpEvent),
    Udp,
    Sctp(sctp::SctpEvent),
}

impl Event {
    pub const fn protocol(self) -> Protocol {
        match self {
            Event::Tcp(_) => Protocol::Tcp,
            Event::Udp => Protocol::Udp,
            Event::Sctp(_) => Protocol::Sctp,
        }
    }
}

/// Timeout of each state in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTimeouts {
    pub tcp: [u32; tcp::STATES],
    pub sctp: [u32; sctp::STATES],
    pub udp: u32,
}

impl StateTimeouts {
    /// IPVS's timeouts, with the three of `ipvsadm --set`.
    pub const fn new(set: Timeouts) -> StateTimeouts {
        let mut tcp = tcp::TIMEOUTS_S;
        tcp[tcp::TcpState::Established as usize] = set.tcp;
        tcp[tcp::TcpState::FinWait as usize] = set.tcp_fin;
        StateTimeouts { tcp, sctp: sctp::TIMEOUTS_S, udp: set.udp }
    }

    /// Timeout in seconds of a state of `protocol`; two seconds for an unknown state.
    #[inline]
    pub fn of(&self, protocol: Protocol, state: u8) -> u32 {
        let timeouts: &[u32] = match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Sctp => &self.sctp,
            Protocol::Udp => return self.udp,
        };
        timeouts.get(usize::from(state)).copied().unwrap_or(timeouts[0])
    }
}

impl Default for StateTimeouts {
    fn default() -> Self {
        StateTimeouts::new(Timeouts { tcp: 900, tcp_fin: 120, udp: udp::TIMEOUT_S })
    }
}

/// The step for a packet with `event` in `state`.
#[inline]
pub fn advance(mode: Mode, side: Side, event: Event, state: u8, timeouts: &StateTimeouts) -> Step {
    match event {
        Event::Tcp(event) => {
            let from = tcp::TcpState::from_number(state);
            let to = tcp::next(mode, side, event, from);
            let established = tcp::TcpState::Established;
            Step {
                state: to as u8,
                timeout_s: timeouts.tcp[to as usize],
                count: count(to.is_active()),
                assures_template: to == established && from != established,
            }
        }
        Event::Udp => Step {
            state: udp::STATE,
            timeout_s: timeouts.udp,
            count: count(false),
            assures_template: side == Side::Output,
        },
        Event::Sctp(event) => {
            let from = sctp::SctpState::from_number(state);
            let to = sctp::next(side, event, from);
            let established = sctp::SctpState::Established;
            Step {
                state: to as u8,
                timeout_s: timeouts.sctp[to as usize],
                count: count(to == established),
                assures_template: to == established && from != established,
            }
        }
    }
}

/// Name of a state in listings.
pub fn name(protocol: Protocol, state: u8) -> &'static str {
    match protocol {
        Protocol::Tcp => tcp::TcpState::from_number(state).name(),
        Protocol::Sctp => sctp::SctpState::from_number(state).name(),
        Protocol::Udp => udp::STATE_NAME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::{Connection, Direction, Flags, Method};
    use crate::packet::Tuple;

    const SYN: Event = Event::Tcp(tcp::TcpEvent::Syn);
    const FIN: Event = Event::Tcp(tcp::TcpEvent::Fin);
    const ACK: Event = Event::Tcp(tcp::TcpEvent::Ack);
    const RST: Event = Event::Tcp(tcp::TcpEvent::Reset);
    const BARE: Event = Event::Tcp(tcp::TcpEvent::Nothing);
    const CLIENT: Direction = Direction::Original;
    const SERVER: Direction = Direction::Reply;

    /// Packets, and after each the state, its timeout in seconds, and if it is active.
    type Conversation = (Mode, Method, &'static [(Direction, Event, &'static str, u32, bool)]);

    /// Sequences measured on a kernel.
    #[rustfmt::skip]
    const CONVERSATIONS: &[Conversation] = &[
        (Mode::Normal, Method::Masq, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (SERVER, SYN, "SYN_RECV", 60, true),
            (CLIENT, ACK, "ESTABLISHED", 900, true), (CLIENT, FIN, "CLOSE_WAIT", 60, false),
            (SERVER, FIN, "TIME_WAIT", 120, false), (CLIENT, ACK, "TIME_WAIT", 120, false),
        ]),
        (Mode::Normal, Method::Masq, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (CLIENT, ACK, "ESTABLISHED", 900, true),
            (SERVER, FIN, "FIN_WAIT", 120, false), (CLIENT, FIN, "TIME_WAIT", 120, false),
        ]),
        (Mode::Normal, Method::Masq, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (SERVER, RST, "CLOSE", 10, false),
        ]),
        (Mode::Normal, Method::Masq, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (CLIENT, BARE, "CLOSE", 10, false),
        ]),
        (Mode::Normal, Method::Route, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (CLIENT, ACK, "ESTABLISHED", 900, true),
            (CLIENT, FIN, "FIN_WAIT", 120, false), (CLIENT, ACK, "FIN_WAIT", 120, false),
            (CLIENT, SYN, "SYN_RECV", 60, true),
        ]),
        (Mode::Normal, Method::Tunnel, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (SERVER, SYN, "SYN_RECV", 60, true),
            (CLIENT, ACK, "ESTABLISHED", 900, true), (CLIENT, FIN, "CLOSE_WAIT", 60, false),
        ]),
        (Mode::Normal, Method::Route, &[(CLIENT, ACK, "ESTABLISHED", 900, true)]),
        (Mode::Secure, Method::Masq, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (CLIENT, ACK, "SYN_RECV", 60, true),
            (CLIENT, ACK, "SYN_RECV", 60, true),
        ]),
        (Mode::Secure, Method::Masq, &[
            (CLIENT, SYN, "SYN_RECV", 60, true), (SERVER, SYN, "SYNACK", 120, true),
            (CLIENT, ACK, "SYNACK", 120, true), (SERVER, ACK, "ESTABLISHED", 900, true),
        ]),
        (Mode::Secure, Method::Route, &[
            (CLIENT, SYN, "SYNACK", 120, true), (CLIENT, ACK, "ESTABLISHED", 900, true),
            (CLIENT, FIN, "FIN_WAIT", 120, false),
        ]),
    ];

    #[test]
    fn conversations() {
        let timeouts = StateTimeouts::default();
        for (mode, method, packets) in CONVERSATIONS {
            let mut connection = Connection::<u32>::new(Tuple::default(), *method);
            for (number, (direction, event, state, timeout_s, active)) in packets.iter().enumerate()
            {
                let side = connection.side(*direction);
                let from = connection.state;
                let step = advance(*mode, side, *event, from, &timeouts);
                connection.state = step.state;
                let seen = (name(Protocol::Tcp, step.state), step.timeout_s, step.is_active());
                assert_eq!(seen, (*state, *timeout_s, *active), "{method:?} packet {number}");
                assert_eq!(step.assures_template, *state == "ESTABLISHED" && from != step.state);
            }
            let replied = packets.iter().any(|packet| packet.0 == SERVER);
            let silent = *method != Method::Masq && !replied;
            assert_eq!(connection.flags.contains(Flags::NOOUTPUT), silent);
        }
    }

    #[test]
    fn timeouts_can_be_set() {
        let timeouts = StateTimeouts::new(Timeouts { tcp: 1, tcp_fin: 2, udp: 3 });
        assert_eq!(timeouts.of(Protocol::Tcp, tcp::TcpState::Established as u8), 1);
        assert_eq!(timeouts.of(Protocol::Tcp, tcp::TcpState::FinWait as u8), 2);
        assert_eq!(timeouts.of(Protocol::Tcp, tcp::TcpState::TimeWait as u8), 120);
        assert_eq!(timeouts.of(Protocol::Tcp, 200), 2);
        assert_eq!(timeouts.of(Protocol::Sctp, sctp::SctpState::Established as u8), 900);
        assert_eq!(timeouts.of(Protocol::Udp, 0), 3);
    }

    #[test]
    fn udp_is_never_active_and_assured_by_its_reply() {
        let timeouts = StateTimeouts::default();
        for side in [Side::Input, Side::Output, Side::InputOnly] {
            let step = advance(Mode::Secure, side, Event::Udp, 0, &timeouts);
            let assures_template = side == Side::Output;
            assert_eq!(
                step,
                Step { state: 0, timeout_s: 300, count: Flags::INACTIVE, assures_template }
            );
        }
        assert_eq!(name(Protocol::Udp, 0), "UDP");
    }

    #[test]
    fn sctp_is_active_when_established_only() {
        let timeouts = StateTimeouts::default();
        let init = Event::Sctp(sctp::SctpEvent::Init);
        let step = advance(Mode::Normal, Side::Input, init, 0, &timeouts);
        assert_eq!(
            (name(Protocol::Sctp, step.state), step.timeout_s, step.is_active()),
            ("INIT1", 4, false)
        );
        let data = Event::Sctp(sctp::SctpEvent::Data);
        let step = advance(Mode::Normal, Side::Input, data, 0, &timeouts);
        assert!(step.is_active() && step.assures_template);
        let again = advance(Mode::Normal, Side::Input, data, step.state, &timeouts);
        assert!(again.is_active() && !again.assures_template);
    }
}
