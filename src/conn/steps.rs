//! Every step of the state machines, worked out beforehand: what a packet does to its connection is one look.

use super::state::{Event, StateTimeouts, advance};
use super::step::{Mode, Side, Step};
use super::{sctp, tcp};
use crate::model::Timeouts;

/// Events of all protocols, and room for the states of any: powers of two, so that a look needs no check.
const EVENTS: usize = 16;
const STATES: usize = 16;

const _: () = assert!(tcp::EVENTS + 1 + sctp::EVENTS <= EVENTS);
const _: () = assert!(tcp::STATES <= STATES && sctp::STATES <= STATES);

/// The steps under some timeouts and one table of TCP's.
#[derive(Clone, Debug)]
pub struct Steps {
    mode: Mode,
    timeouts: Timeouts,
    /// By side, event and the state before.
    rows: [[[Step; STATES]; EVENTS]; Side::ALL.len()],
}

impl Steps {
    /// Works out some hundred steps: microseconds.
    pub fn new(mode: Mode, timeouts: Timeouts) -> Self {
        let seconds = StateTimeouts::new(timeouts);
        let first = advance(mode, Side::Input, Event::Udp, 0, &seconds);
        let mut rows = [[[first; STATES]; EVENTS]; Side::ALL.len()];
        for (side, of_side) in Side::ALL.into_iter().zip(&mut rows) {
            for event in events() {
                for (state, step) in of_side[row(event)].iter_mut().enumerate() {
                    *step = advance(mode, side, event, state as u8, &seconds);
                }
            }
        }
        Steps { mode, timeouts, rows }
    }

    /// Brings the steps to another mode or other timeouts, if they are others.
    pub fn adopt(&mut self, mode: Mode, timeouts: Timeouts) {
        if (self.mode, self.timeouts) != (mode, timeouts) {
            *self = Steps::new(mode, timeouts);
        }
    }

    /// The step that a TCP segment with these flags makes from `state`.
    #[inline(always)]
    pub fn tcp(&self, side: Side, flags: u8, state: u8) -> &Step {
        self.of(side, Event::Tcp(tcp::TcpEvent::from_flags(flags)), state)
    }

    /// The step that a UDP datagram makes.
    #[inline(always)]
    pub fn udp(&self, side: Side) -> &Step {
        self.of(side, Event::Udp, 0)
    }

    /// The step that an SCTP packet makes from `state`.
    #[inline(always)]
    pub fn sctp(&self, side: Side, event: sctp::SctpEvent, state: u8) -> &Step {
        self.of(side, Event::Sctp(event), state)
    }

    #[inline(always)]
    fn of(&self, side: Side, event: Event, state: u8) -> &Step {
        &self.rows[side as usize][row(event) % EVENTS][usize::from(state) % STATES]
    }
}

/// Where the steps of an event are.
#[inline(always)]
const fn row(event: Event) -> usize {
    match event {
        Event::Tcp(event) => event as usize,
        Event::Udp => tcp::EVENTS,
        Event::Sctp(event) => tcp::EVENTS + 1 + event as usize,
    }
}

fn events() -> impl Iterator<Item = Event> {
    let tcp = tcp::TcpEvent::ALL.into_iter().map(Event::Tcp);
    tcp.chain([Event::Udp]).chain(sctp::SctpEvent::ALL.into_iter().map(Event::Sctp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_event_has_a_row_of_its_own() {
        let rows: Vec<usize> = events().map(row).collect();
        assert_eq!(rows, (0..EVENTS).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_look_is_what_the_state_machine_says(
            seconds: [u32; 3], others: [u32; 3], secure: bool, state in 0..STATES as u8,
        ) {
            let [tcp, tcp_fin, udp] = seconds;
            let timeouts = Timeouts { tcp, tcp_fin, udp };
            let mode = if secure { Mode::Secure } else { Mode::Normal };
            let [tcp, tcp_fin, udp] = others;
            let mut steps = Steps::new(Mode::Normal, Timeouts { tcp, tcp_fin, udp });
            steps.adopt(mode, timeouts);
            for (side, event) in Side::ALL.into_iter().flat_map(|side| events().map(move |event| (side, event))) {
                let expected = advance(mode, side, event, state, &StateTimeouts::new(timeouts));
                prop_assert_eq!(*steps.of(side, event, state), expected);
            }
        }
    }
}
