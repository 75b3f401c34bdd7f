//! Precomputed state transitions: applying a packet is one table lookup.

use super::state::{Event, StateTimeouts, advance};
use super::step::{Mode, Side, Step};
use super::{sctp, tcp};
use crate::model::Timeouts;

/// Numbers of events of all protocols and of states, as powers of two, so that lookups need no bounds check.
const EVENTS: usize = 16;
const STATES: usize = 16;

const _: () = assert!(tcp::EVENTS + 1 + sctp::EVENTS <= EVENTS);
const _: () = assert!(tcp::STATES <= STATES && sctp::STATES <= STATES);

/// All steps for one set of timeouts and one TCP table.
#[derive(Clone, Debug)]
pub struct Steps {
    mode: Mode,
    timeouts: Timeouts,
    /// Indexed by side, event and previous state.
    rows: [[[Step; STATES]; EVENTS]; Side::ALL.len()],
}

impl Steps {
    /// Computes some hundred steps, which takes microseconds.
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

    /// Recomputes the steps if mode or timeouts have changed.
    pub fn adopt(&mut self, mode: Mode, timeouts: Timeouts) {
        if (self.mode, self.timeouts) != (mode, timeouts) {
            *self = Steps::new(mode, timeouts);
        }
    }

    /// The step for a TCP segment with these flags in `state`.
    #[inline(always)]
    pub fn tcp(&self, side: Side, flags: u8, state: u8) -> &Step {
        self.of(side, Event::Tcp(tcp::TcpEvent::from_flags(flags)), state)
    }

    /// The step for a UDP datagram.
    #[inline(always)]
    pub fn udp(&self, side: Side) -> &Step {
        self.of(side, Event::Udp, 0)
    }

    /// The step for an SCTP packet in `state`.
    #[inline(always)]
    pub fn sctp(&self, side: Side, event: sctp::SctpEvent, state: u8) -> &Step {
        self.of(side, Event::Sctp(event), state)
    }

    #[inline(always)]
    fn of(&self, side: Side, event: Event, state: u8) -> &Step {
        &self.rows[side as usize][row(event) % EVENTS][usize::from(state) % STATES]
    }
}

/// Row of an event.
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
    fn every_event_has_its_own_row() {
        let rows: Vec<usize> = events().map(row).collect();
        assert_eq!(rows, (0..EVENTS).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn steps_match_the_state_machine(
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
