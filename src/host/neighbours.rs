//! Next hops and their MAC addresses, by the state machine of RFC 4861 section 7.3, which Linux uses for ARP as well.
//! Knows no frames and sends nothing: what is to be done comes out as [`Effect`]s.
//!
//! Workers send by the published addresses without a word to control, so "in use" cannot mean "a packet was sent a
//! moment ago": a neighbour that was ever asked for is asked again every [`REACHABLE`] for as long as it answers, and
//! forgotten when it no longer does, unless it is wanted (a destination, a gateway). Wanted ones are asked for ever.

use crate::limits::{INJECT_RING, NEIGHBOUR_QUEUE, NEIGHBOUR_QUEUES, NEIGHBOURS_MAX};
use crate::model::InterfaceId;
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// An address on the link of an interface.
pub type NextHop = (InterfaceId, IpAddr);

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
    Send { interface: InterfaceId, mac: [u8; 6], frame: F },
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
    pub interface: InterfaceId,
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

/// The neighbours of all interfaces.
#[derive(Debug)]
pub struct Neighbours<F> {
    entries: BTreeMap<NextHop, Entry<F>>,
    effects: VecDeque<Effect<F>>,
    generation: u64,
    /// Whose usable address has appeared, changed or gone since they were last asked for.
    changed: BTreeSet<NextHop>,
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
            changed: BTreeSet::new(),
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

    /// Everyone whose usable address may be another than at the last call, with the one it is now. Costs what has
    /// changed, not what is known.
    pub fn take_changes(&mut self) -> Vec<(NextHop, Option<[u8; 6]>)> {
        let usable = |next_hop: NextHop| self.entries.get(&next_hop).and_then(Entry::usable);
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|next_hop| (next_hop, usable(next_hop))).collect()
    }

    /// Everyone known, ordered by interface and address.
    pub fn iter(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.entries.iter().map(|(&(interface, address), entry)| Neighbour {
            interface,
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
            Some(mac) => self.effects.push_back(Effect::Send { interface: next_hop.0, mac, frame }),
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
                self.changed.insert(next_hop);
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
                self.changed.insert(next_hop);
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
                    self.changed.insert(next_hop);
                }
                if claim.solicited {
                    entry.state = confirmed;
                } else if new.is_some() {
                    entry.state = entry.hearsay(now);
                }
            }
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

    /// No destination or gateway has this address any longer. It is not asked again until a frame is to be sent to it.
    pub fn unwant(&mut self, next_hop: NextHop) {
        if let Some(entry) = self.entries.get_mut(&next_hop) {
            entry.wanted = false;
            entry.asked_for = false;
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
            // A failed entry is made above with the very address that it is to have.
            self.changed.insert(*next_hop);
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
        self.changed.insert(next_hop);
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
            self.entries.retain(|next_hop, entry| match entry.state {
                State::Stale { .. } => {
                    self.changed.insert(*next_hop);
                    false
                }
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
        let (interface, mac) = (next_hop.0, entry.mac);
        self.queued -= entry.queue.len();
        let waited = entry.queue.drain(..).map(|frame| Effect::Send { interface, mac, frame });
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
mod tests;
