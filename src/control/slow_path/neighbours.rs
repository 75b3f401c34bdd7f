//! Next hops and their MAC addresses, by the state machine of RFC 4861 section 7.3, which Linux uses for ARP as well.
//! Knows no frames and sends nothing: what is to be done comes out as [`Effect`]s.
//!
//! Workers send by the published addresses without a word to control, so "in use" cannot mean "a packet was sent a
//! moment ago": a neighbour that was ever asked for is asked again every [`REACHABLE`] for as long as it answers, and
//! forgotten when it no longer does, unless it is wanted (a destination, a gateway). Wanted ones are asked for ever.

use crate::limits::{INJECT_RING, NEIGHBOUR_QUEUE, NEIGHBOUR_QUEUES, NEIGHBOURS_MAX};
use crate::model::PortId;
use crate::stop::DropReason;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// An address on the link of a port.
pub type NextHop = (PortId, IpAddr);

/// Time between two solicitations for one address (RFC 4861 RETRANS_TIMER).
pub const RETRANSMIT: Duration = Duration::from_secs(1);
/// How long an answer counts (RFC 4861 REACHABLE_TIME).
pub const REACHABLE: Duration = Duration::from_secs(30);
/// Wait for better news before an address from hearsay is probed (RFC 4861 DELAY_FIRST_PROBE_TIME).
pub const DELAY: Duration = Duration::from_secs(5);
/// How long an address that nobody asked for is kept; Linux's gc_stale_time.
pub const STALE: Duration = Duration::from_secs(60);
/// Rest before a wanted neighbour that did not answer is asked again.
pub const FAILED: Duration = Duration::from_secs(5);
/// Solicitations without an answer before giving up, unicast and multicast each (RFC 4861 MAX_*CAST_SOLICIT).
const TRIES: u8 = 3;
/// Solicitations between two ticks at most, so that many dead servers leave room in the rings to the workers.
const SOLICITATIONS: usize = INJECT_RING * 3 / 4;

/// What the owner of the table is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<F> {
    /// Ask for the address: by unicast to `mac`, or everybody on the link.
    Solicit { next_hop: NextHop, mac: Option<[u8; 6]> },
    /// Send a frame that waited.
    Send { port: PortId, mac: [u8; 6], frame: F },
    /// Tell the sender of the frame that its host is unreachable.
    Unreachable { frame: F },
    /// A frame was dropped.
    Drop(DropReason),
}

/// What a message says about a neighbour.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The link-layer address, if the message carries one.
    pub mac: Option<[u8; 6]>,
    /// It answers a solicitation of ours, so the neighbour hears us.
    pub solicited: bool,
    /// It may replace a different address (always so for ARP).
    pub overrides: bool,
    /// Worth a new entry: the neighbour is about to talk to us.
    pub creates: bool,
}

/// Name of a neighbour's state, as in `ip neighbour`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
    Permanent,
}

impl NeighbourState {
    /// The word in listings.
    pub const fn name(self) -> &'static str {
        match self {
            NeighbourState::Incomplete => "incomplete",
            NeighbourState::Reachable => "reachable",
            NeighbourState::Stale => "stale",
            NeighbourState::Delay => "delay",
            NeighbourState::Probe => "probe",
            NeighbourState::Failed => "failed",
            NeighbourState::Permanent => "permanent",
        }
    }
}

/// One row of the neighbour listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub port: PortId,
    pub address: IpAddr,
    /// The address frames may be sent to; `None` while there is none to be trusted.
    pub mac: Option<[u8; 6]>,
    pub state: NeighbourState,
    /// Frames that wait for the address.
    pub queued: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Asked everybody `tries` times; the next step is due at `next`.
    Incomplete {
        tries: u8,
        next: Instant,
    },
    Reachable {
        until: Instant,
    },
    /// Known from hearsay, and nobody asked for it.
    Stale {
        until: Instant,
    },
    /// Known from hearsay and in use: probed unless confirmed first.
    Delay {
        until: Instant,
    },
    /// Asked the neighbour itself `tries` times; the next step is due at `next`.
    Probe {
        tries: u8,
        next: Instant,
    },
    /// Did not answer.
    Failed {
        until: Instant,
    },
    /// From the configuration.
    Permanent,
}

#[derive(Debug)]
struct Entry<F> {
    state: State,
    /// Meaningful while the state is one in which it may be used.
    mac: [u8; 6],
    /// A destination's or a gateway's: asked for ever.
    wanted: bool,
    /// A frame was to be sent to it.
    asked_for: bool,
    queue: VecDeque<F>,
}

impl<F> Entry<F> {
    fn new(state: State, mac: [u8; 6]) -> Self {
        Entry { state, mac, wanted: false, asked_for: false, queue: VecDeque::new() }
    }

    fn usable(&self) -> Option<[u8; 6]> {
        (!matches!(self.state, State::Incomplete { .. } | State::Failed { .. })).then_some(self.mac)
    }

    /// The state of an address that was heard, not confirmed.
    fn hearsay(&self, now: Instant) -> State {
        if self.wanted || self.asked_for {
            State::Delay { until: now + DELAY }
        } else {
            State::Stale { until: now + STALE }
        }
    }

    fn name(&self) -> NeighbourState {
        match self.state {
            State::Incomplete { .. } => NeighbourState::Incomplete,
            State::Reachable { .. } => NeighbourState::Reachable,
            State::Stale { .. } => NeighbourState::Stale,
            State::Delay { .. } => NeighbourState::Delay,
            State::Probe { .. } => NeighbourState::Probe,
            State::Failed { .. } => NeighbourState::Failed,
            State::Permanent => NeighbourState::Permanent,
        }
    }
}

/// The neighbours of all ports.
#[derive(Debug)]
pub struct Neighbours<F> {
    entries: BTreeMap<NextHop, Entry<F>>,
    effects: VecDeque<Effect<F>>,
    generation: u64,
    /// Frames in all queues.
    queued: usize,
    /// Solicitations left until the next tick.
    budget: usize,
    /// Room was made since the last tick.
    swept: bool,
}

impl<F> Default for Neighbours<F> {
    fn default() -> Self {
        Neighbours {
            entries: BTreeMap::new(),
            effects: VecDeque::new(),
            generation: 0,
            queued: 0,
            budget: SOLICITATIONS,
            swept: false,
        }
    }
}

impl<F> Neighbours<F> {
    /// Changes whenever an address that may be used appears, changes or goes.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Everyone known, ordered by port and address.
    pub fn iter(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.entries.iter().map(|(&(port, address), entry)| Neighbour {
            port,
            address,
            mac: entry.usable(),
            state: entry.name(),
            queued: entry.queue.len(),
        })
    }

    /// What is to be done next, oldest first.
    pub fn next_effect(&mut self) -> Option<Effect<F>> {
        self.effects.pop_front()
    }

    /// Sends `frame` to the next hop: at once if its address is known, else after it has answered.
    pub fn send(&mut self, next_hop: NextHop, frame: F, now: Instant) {
        if !self.admit(next_hop, now) {
            self.effects.push_back(Effect::Drop(DropReason::NeighbourQueueFull));
            return;
        }
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        entry.asked_for = true;
        match entry.state {
            State::Stale { .. } => entry.state = entry.hearsay(now),
            State::Failed { .. } => entry.state = State::Incomplete { tries: 0, next: now },
            _ => {}
        }
        match entry.usable() {
            Some(mac) => self.effects.push_back(Effect::Send { port: next_hop.0, mac, frame }),
            None => self.enqueue(next_hop, frame, now),
        }
    }

    /// A message about the neighbour came in.
    pub fn claim(&mut self, next_hop: NextHop, claim: Claim, now: Instant) {
        if !self.entries.contains_key(&next_hop) {
            if let (true, Some(mac)) = (claim.creates && self.has_room(), claim.mac) {
                let state = State::Stale { until: now + STALE };
                self.entries.insert(next_hop, Entry::new(state, mac));
                self.generation += 1;
            }
            return;
        }
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        let confirmed = State::Reachable { until: now + REACHABLE };
        match (entry.state, claim.mac) {
            (State::Permanent, _) => {}
            (State::Incomplete { .. } | State::Failed { .. }, Some(mac)) => {
                entry.mac = mac;
                entry.state = if claim.solicited { confirmed } else { entry.hearsay(now) };
                self.generation += 1;
                self.release(next_hop);
            }
            (State::Incomplete { .. } | State::Failed { .. }, None) => {}
            (state, mac) => {
                let new = mac.filter(|mac| *mac != entry.mac);
                if new.is_some() && !claim.overrides {
                    // RFC 4861 section 7.2.5: doubt, but no more.
                    if matches!(state, State::Reachable { .. }) {
                        entry.state = entry.hearsay(now);
                    }
                    return;
                }
                if let Some(mac) = new {
                    entry.mac = mac;
                    self.generation += 1;
                }
                if claim.solicited {
                    entry.state = confirmed;
                } else if new.is_some() {
                    entry.state = entry.hearsay(now);
                }
            }
        }
    }

    /// Makes exactly these next hops wanted: kept resolved, asked for ever.
    pub fn set_wanted(&mut self, wanted: &BTreeSet<NextHop>, now: Instant) {
        let dropped: Vec<NextHop> = self
            .entries
            .iter()
            .filter(|(next_hop, entry)| entry.wanted && !wanted.contains(next_hop))
            .map(|(next_hop, _)| *next_hop)
            .collect();
        for next_hop in dropped {
            self.unwant(next_hop);
        }
        for next_hop in wanted {
            self.want(*next_hop, now);
        }
    }

    /// Keeps a destination's or a gateway's address resolved.
    pub fn want(&mut self, next_hop: NextHop, now: Instant) {
        let entry = self
            .entries
            .entry(next_hop)
            .or_insert_with(|| Entry::new(State::Incomplete { tries: 0, next: now }, [0; 6]));
        entry.wanted = true;
        if matches!(entry.state, State::Stale { .. }) {
            entry.state = entry.hearsay(now);
        }
        self.step(next_hop, now);
    }

    /// It is nobody's destination or gateway any longer, so its silence is no longer answered by asking on.
    pub fn unwant(&mut self, next_hop: NextHop) {
        if let Some(entry) = self.entries.get_mut(&next_hop) {
            entry.wanted = false;
        }
    }

    /// Makes exactly these addresses permanent. Those no longer among them are forgotten, or asked for if wanted.
    pub fn set_permanent(&mut self, list: &BTreeMap<NextHop, [u8; 6]>, now: Instant) {
        let dropped: Vec<NextHop> = self
            .entries
            .iter()
            .filter(|(next_hop, entry)| {
                matches!(entry.state, State::Permanent) && !list.contains_key(next_hop)
            })
            .map(|(next_hop, _)| *next_hop)
            .collect();
        for next_hop in dropped {
            self.lose(next_hop, now);
        }
        for (next_hop, mac) in list {
            let entry = self
                .entries
                .entry(*next_hop)
                .or_insert_with(|| Entry::new(State::Failed { until: now }, *mac));
            if entry.usable() != Some(*mac) {
                self.generation += 1;
            }
            entry.mac = *mac;
            entry.state = State::Permanent;
            self.release(*next_hop);
        }
    }

    /// Moves every entry on whose time has come. To be called about every 100 ms.
    pub fn tick(&mut self, now: Instant) {
        self.budget = SOLICITATIONS;
        self.swept = false;
        let due: Vec<NextHop> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state.due().is_some_and(|due| due <= now))
            .map(|(next_hop, _)| *next_hop)
            .collect();
        for next_hop in due {
            self.step(next_hop, now);
        }
    }

    /// Does what is due for one entry.
    fn step(&mut self, next_hop: NextHop, now: Instant) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        if entry.state.due().is_none_or(|due| due > now) {
            return;
        }
        match entry.state {
            State::Reachable { .. } | State::Delay { .. } if entry.wanted || entry.asked_for => {
                entry.state = State::Probe { tries: 0, next: now };
                self.solicit(next_hop, now);
            }
            State::Reachable { .. } | State::Delay { .. } => entry.state = entry.hearsay(now),
            State::Incomplete { tries, .. } if tries >= TRIES => {
                entry.state = State::Failed { until: now + FAILED };
                self.queued -= entry.queue.len();
                let waited = entry.queue.drain(..).map(|frame| Effect::Unreachable { frame });
                self.effects.extend(waited);
            }
            State::Probe { tries, .. } if tries >= TRIES => self.lose(next_hop, now),
            State::Incomplete { .. } | State::Probe { .. } => self.solicit(next_hop, now),
            State::Failed { .. } if entry.wanted => {
                entry.state = State::Incomplete { tries: 0, next: now };
                self.solicit(next_hop, now);
            }
            State::Failed { .. } => {
                self.entries.remove(&next_hop);
            }
            State::Stale { .. } => self.lose(next_hop, now),
            State::Permanent => {}
        }
    }

    /// Sends the next solicitation; without budget left it stays due.
    fn solicit(&mut self, next_hop: NextHop, now: Instant) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        let mac = entry.usable();
        let (State::Incomplete { tries, next } | State::Probe { tries, next }) = &mut entry.state
        else {
            return;
        };
        // Half is kept for those that are wanted: a scan of a network must not silence the servers.
        if self.budget > if entry.wanted { 0 } else { SOLICITATIONS / 2 } {
            self.budget -= 1;
            *tries += 1;
            *next = now + RETRANSMIT;
            self.effects.push_back(Effect::Solicit { next_hop, mac });
        }
    }

    /// The address can no longer be used: asks everybody if it is wanted, forgets it otherwise.
    fn lose(&mut self, next_hop: NextHop, now: Instant) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        self.generation += 1;
        if entry.wanted {
            entry.state = State::Incomplete { tries: 0, next: now };
            self.solicit(next_hop, now);
        } else {
            self.entries.remove(&next_hop);
        }
    }

    /// There is an entry for the next hop, an old or a new one.
    fn admit(&mut self, next_hop: NextHop, now: Instant) -> bool {
        let room = self.entries.contains_key(&next_hop) || self.has_room();
        if room {
            let new = || Entry::new(State::Incomplete { tries: 0, next: now }, [0; 6]);
            self.entries.entry(next_hop).or_insert_with(new);
        }
        room
    }

    /// There is room for one more entry; once per tick it is made by forgetting what nobody asked for or waits for.
    fn has_room(&mut self) -> bool {
        if self.entries.len() >= NEIGHBOURS_MAX && !self.swept {
            self.swept = true;
            let before = self.entries.len();
            self.entries.retain(|_, entry| match entry.state {
                State::Stale { .. } => false,
                State::Failed { .. } => entry.wanted,
                _ => true,
            });
            self.generation += u64::from(self.entries.len() != before);
        }
        self.entries.len() < NEIGHBOURS_MAX
    }

    /// Keeps a frame until the next hop has answered. As in Linux the oldest has to go for the newest.
    fn enqueue(&mut self, next_hop: NextHop, frame: F, now: Instant) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        if entry.queue.len() >= NEIGHBOUR_QUEUE {
            entry.queue.pop_front();
            self.queued -= 1;
            self.effects.push_back(Effect::Drop(DropReason::NeighbourQueueFull));
        }
        if self.queued < NEIGHBOUR_QUEUES {
            entry.queue.push_back(frame);
            self.queued += 1;
        } else {
            self.effects.push_back(Effect::Drop(DropReason::NeighbourQueueFull));
        }
        self.step(next_hop, now);
    }

    /// Sends what waited for the address.
    fn release(&mut self, next_hop: NextHop) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        let (port, mac) = (next_hop.0, entry.mac);
        self.queued -= entry.queue.len();
        let waited = entry.queue.drain(..).map(|frame| Effect::Send { port, mac, frame });
        self.effects.extend(waited);
    }
}

impl State {
    /// When the next step is due.
    fn due(self) -> Option<Instant> {
        match self {
            State::Incomplete { next, .. } | State::Probe { next, .. } => Some(next),
            State::Reachable { until }
            | State::Stale { until }
            | State::Delay { until }
            | State::Failed { until } => Some(until),
            State::Permanent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0x10, 0x0b];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0x10, 0x0c];
    const ANSWER: Claim =
        Claim { mac: Some(MAC), solicited: true, overrides: true, creates: false };
    const GRATUITOUS: Claim = Claim { mac: Some(OTHER), solicited: false, ..ANSWER };
    const REQUEST: Claim = Claim { solicited: false, creates: true, ..ANSWER };

    fn hop(last: u8) -> NextHop {
        (PortId(1), Ipv4Addr::new(192, 168, 10, last).into())
    }

    /// A hand-moved clock, and the effects as words.
    #[derive(Default)]
    struct Link {
        neighbours: Neighbours<u32>,
        now: Instant,
    }

    impl Link {
        fn effects(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.neighbours.next_effect())
                .map(|effect| match effect {
                    Effect::Solicit { mac: None, .. } => "ask all".into(),
                    Effect::Solicit { mac: Some(mac), .. } => format!("ask {:02x}", mac[5]),
                    Effect::Send { mac, frame, .. } => format!("send {frame} to {:02x}", mac[5]),
                    Effect::Unreachable { frame } => format!("unreachable {frame}"),
                    Effect::Drop(reason) => reason.name().into(),
                })
                .collect()
        }

        /// Ticks for so many seconds and returns what happened, with the second it happened in.
        fn run(&mut self, seconds: u64) -> Vec<String> {
            let mut log = Vec::new();
            for tick in 1..=seconds * 10 {
                self.now = self.now + Duration::from_millis(100);
                self.neighbours.tick(self.now);
                log.extend(self.effects().iter().map(|what| format!("{}: {what}", tick / 10)));
            }
            log
        }

        fn send(&mut self, frame: u32) -> Vec<String> {
            self.neighbours.send(hop(11), frame, self.now);
            self.effects()
        }

        fn claim(&mut self, claim: Claim) -> Vec<String> {
            self.neighbours.claim(hop(11), claim, self.now);
            self.effects()
        }

        fn state(&self) -> Option<NeighbourState> {
            self.neighbours.iter().next().map(|row| row.state)
        }
    }

    #[test]
    fn frames_wait_for_the_answer() {
        let mut link = Link::default();
        assert_eq!(link.send(1), ["ask all"]);
        assert!(link.send(2).is_empty());
        assert_eq!(link.neighbours.iter().next().unwrap().queued, 2);
        assert_eq!(link.claim(ANSWER), ["send 1 to 0b", "send 2 to 0b"]);
        assert_eq!(link.send(3), ["send 3 to 0b"]);
        assert_eq!(link.neighbours.generation(), 1);
        assert_eq!(link.state(), Some(NeighbourState::Reachable));
    }

    #[test]
    fn three_questions_then_unreachable() {
        let mut link = Link::default();
        assert_eq!(link.send(1), ["ask all"]);
        assert_eq!(link.run(4), ["1: ask all", "2: ask all", "3: unreachable 1"]);
        assert_eq!(link.state(), Some(NeighbourState::Failed));
        assert_eq!(link.send(2), ["ask all"], "a new packet starts anew");
        link.run(10);
        assert_eq!(link.state(), None);
        assert_eq!(link.neighbours.generation(), 0, "no address ever was usable");
    }

    #[test]
    fn in_use_it_is_asked_again_and_forgotten_when_silent() {
        let mut link = Link::default();
        link.send(1);
        link.claim(ANSWER);
        assert_eq!(link.run(31), ["30: ask 0b", "31: ask 0b"]);
        assert_eq!(link.state(), Some(NeighbourState::Probe));
        link.claim(ANSWER);
        assert_eq!(link.run(34), ["30: ask 0b", "31: ask 0b", "32: ask 0b"]);
        assert_eq!(link.state(), None);
        assert_eq!(link.neighbours.generation(), 2);
    }

    #[test]
    fn wanted_ones_are_asked_for_ever() {
        let mut link = Link::default();
        link.neighbours.want(hop(11), link.now);
        assert_eq!(link.effects(), ["ask all"]);
        let log = link.run(60);
        assert_eq!(log[..3], ["1: ask all", "2: ask all", "8: ask all"]);
        assert_eq!(log.len(), 2 + 3 * 7);
        link.claim(ANSWER);
        let log = link.run(34);
        assert_eq!(log, ["30: ask 0b", "31: ask 0b", "32: ask 0b", "33: ask all", "34: ask all"]);
        link.neighbours.set_wanted(&BTreeSet::new(), link.now);
        link.run(20);
        assert_eq!(link.state(), None);
    }

    #[test]
    fn hearsay() {
        let mut link = Link::default();
        assert!(link.claim(GRATUITOUS).is_empty());
        assert_eq!(link.state(), None, "a gratuitous message makes no entry");
        link.claim(REQUEST);
        assert_eq!(link.state(), Some(NeighbourState::Stale));
        assert_eq!(link.send(1), ["send 1 to 0b"], "usable at once");
        assert_eq!(link.state(), Some(NeighbourState::Delay));
        assert_eq!(link.run(5), ["5: ask 0b"]);
        link.claim(ANSWER);
        link.claim(GRATUITOUS);
        assert_eq!((link.state(), link.neighbours.generation()), (Some(NeighbourState::Delay), 2));
        assert_eq!(link.send(2), ["send 2 to 0c"]);
    }

    #[test]
    fn what_nobody_asked_for_is_forgotten() {
        let mut link = Link::default();
        link.claim(REQUEST);
        assert!(link.run(61).is_empty());
        assert_eq!((link.state(), link.neighbours.generation()), (None, 2));
    }

    /// RFC 4861 section 7.2.5: without the override flag a different address only casts doubt.
    #[test]
    fn without_override_the_address_stays() {
        let mut link = Link::default();
        link.send(1);
        link.claim(ANSWER);
        link.claim(Claim { overrides: false, ..GRATUITOUS });
        assert_eq!(link.state(), Some(NeighbourState::Delay));
        assert_eq!(link.send(2), ["send 2 to 0b"]);
        link.claim(Claim { mac: None, overrides: false, ..ANSWER });
        assert_eq!(link.state(), Some(NeighbourState::Reachable));
    }

    #[test]
    fn permanent_ones_are_never_overwritten() {
        let mut link = Link::default();
        link.send(1);
        link.neighbours.set_permanent(&BTreeMap::from([(hop(11), MAC)]), link.now);
        assert_eq!(link.effects(), ["send 1 to 0b"]);
        link.claim(GRATUITOUS);
        assert!(link.run(100).is_empty());
        assert_eq!(link.send(2), ["send 2 to 0b"]);
        link.neighbours.want(hop(11), link.now);
        link.neighbours.set_permanent(&BTreeMap::new(), link.now);
        assert_eq!(link.effects(), ["ask all"], "it is still somebody's destination");
        assert_eq!(link.neighbours.generation(), 2);
    }

    #[test]
    fn queues_are_bounded_oldest_first() {
        let mut link = Link::default();
        for frame in 0..NEIGHBOUR_QUEUE as u32 + 1 {
            link.send(frame);
        }
        let sent = link.claim(ANSWER);
        assert_eq!((sent.len(), sent[0].as_str()), (NEIGHBOUR_QUEUE, "send 1 to 0b"));
        let all = (NEIGHBOUR_QUEUES + 5) as u32;
        for frame in 0..all {
            let next_hop = (PortId(0), Ipv4Addr::from_bits(0x0a00_0000 + frame).into());
            link.neighbours.send(next_hop, frame, link.now);
        }
        let full = link.effects().iter().filter(|what| *what == "neighbour-queue-full").count();
        assert_eq!(full, 5);
    }

    #[test]
    fn the_table_is_bounded_and_wanted_ones_always_fit() {
        let mut link = Link::default();
        for address in 0..NEIGHBOURS_MAX as u32 {
            let next_hop = (PortId(0), Ipv4Addr::from_bits(0x0a00_0000 + address).into());
            link.neighbours.send(next_hop, address, link.now);
        }
        link.effects();
        assert_eq!(link.send(1), ["neighbour-queue-full"]);
        link.neighbours.want(hop(11), link.now);
        assert_eq!(link.effects(), ["ask all"]);
        assert_eq!(link.neighbours.entries.len(), NEIGHBOURS_MAX + 1);
        link.run(25);
        assert_eq!(link.neighbours.entries.len(), 1, "silence makes room");
    }
}
