//! Next hops and their MAC addresses, with the state machine of RFC 4861 section 7.3, which Linux uses for ARP too. It
//! handles no frames and sends nothing: actions are returned as [`Effect`]s.
//!
//! Workers use published addresses without notice to control, so control cannot know when a packet was last sent.
//! Therefore a neighbour that was once solicited is probed every [`REACHABLE`] as long as it answers. When it no longer
//! answers it is removed, unless it is wanted (a destination or a gateway): wanted ones are solicited forever.

use crate::limits::{INJECT_RING, NEIGHBOUR_QUEUE, NEIGHBOUR_QUEUES, NEIGHBOURS_MAX};
use crate::model::InterfaceId;
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// An address on the link of an interface.
pub type NextHopKey = (InterfaceId, IpAddr);

/// Time between two solicitations for one address (RFC 4861 RETRANS_TIMER).
pub(super) const RETRANSMIT: Duration = Duration::from_secs(1);
/// How long an answer is valid (RFC 4861 REACHABLE_TIME).
pub(super) const REACHABLE: Duration = Duration::from_secs(30);
/// Delay before an unconfirmed address is probed (RFC 4861 DELAY_FIRST_PROBE_TIME).
pub(super) const DELAY: Duration = Duration::from_secs(5);
/// How long an entry is kept that is not in use; Linux's gc_stale_time.
pub(super) const STALE: Duration = Duration::from_secs(60);
/// Pause before a wanted neighbour that did not answer is solicited again.
pub(super) const FAILED: Duration = Duration::from_secs(5);
/// Maximum unanswered solicitations, for unicast and multicast each (RFC 4861 MAX_*CAST_SOLICIT).
const TRIES: u8 = 3;
/// Maximum solicitations between two ticks, so that many dead servers leave room in the rings.
const SOLICITATIONS: usize = INJECT_RING * 3 / 4;

/// An action for the owner of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect<F> {
    /// Solicit the address: unicast to `mac`, or by broadcast or multicast.
    Solicit { next_hop: NextHopKey, mac: Option<[u8; 6]> },
    /// Send a frame that waited.
    Send { interface: InterfaceId, mac: [u8; 6], frame: F },
    /// Send "host unreachable" to the sender of the frame.
    Unreachable { frame: F },
    /// A frame was dropped.
    Drop(DropReason),
}

/// Content of a message about a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// The link-layer address, if the message has one.
    pub mac: Option<[u8; 6]>,
    /// It answers our solicitation, so the neighbour receives our frames.
    pub solicited: bool,
    /// It may replace a different address (always for ARP).
    pub overrides: bool,
    /// It may create an entry: the neighbour is about to send to us.
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
    /// Name in listings.
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
    /// The MAC address for frames; `None` while no usable one is known.
    pub mac: Option<[u8; 6]>,
    pub state: NeighbourState,
    /// Frames that wait for the address.
    pub queued: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Solicited `tries` times by multicast or broadcast; the next step is due at `next`.
    Incomplete {
        tries: u8,
        next: Instant,
    },
    Reachable {
        until: Instant,
    },
    /// Unconfirmed and not in use.
    Stale {
        until: Instant,
    },
    /// Unconfirmed and in use: probed unless confirmed first.
    Delay {
        until: Instant,
    },
    /// Solicited `tries` times by unicast; the next step is due at `next`.
    Probe {
        tries: u8,
        next: Instant,
    },
    /// Did not answer.
    Failed {
        until: Instant,
    },
    /// Configured.
    Permanent,
}

#[derive(Debug)]
struct Entry<F> {
    state: State,
    /// Valid in states in which it may be used.
    mac: [u8; 6],
    /// A destination or gateway: solicited forever.
    wanted: bool,
    /// A frame for it was given to the host.
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

    /// State after an unconfirmed address was received.
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
pub(super) struct Neighbours<F> {
    entries: BTreeMap<NextHopKey, Entry<F>>,
    effects: VecDeque<Effect<F>>,
    generation: u64,
    /// Neighbours whose usable address has changed since the last `take_changes`.
    changed: BTreeSet<NextHopKey>,
    /// Number of frames in all queues.
    queued: usize,
    /// Solicitations allowed until the next tick.
    budget: usize,
    /// Old entries were removed since the last tick.
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
    /// Changes whenever a usable address appears, changes or disappears.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Neighbours whose usable address may have changed since the last call, with their present one. The cost depends
    /// on the number of changes, not of neighbours.
    pub(super) fn take_changes(&mut self) -> Vec<(NextHopKey, Option<[u8; 6]>)> {
        let usable = |next_hop: NextHopKey| self.entries.get(&next_hop).and_then(Entry::usable);
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|next_hop| (next_hop, usable(next_hop))).collect()
    }

    /// All neighbours, sorted by interface and address.
    pub(super) fn iter(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.entries.iter().map(|(&(interface, address), entry)| Neighbour {
            interface,
            address,
            mac: entry.usable(),
            state: entry.name(),
            queued: entry.queue.len(),
        })
    }

    /// The next effect, oldest first.
    pub(super) fn next_effect(&mut self) -> Option<Effect<F>> {
        self.effects.pop_front()
    }

    /// Sends `frame` to the next hop: at once if its address is known, otherwise after it has answered.
    pub(super) fn send(&mut self, next_hop: NextHopKey, frame: F, now: Instant) {
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

    /// Handles a message about a neighbour.
    pub(super) fn claim(&mut self, next_hop: NextHopKey, claim: Claim, now: Instant) {
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
                    // RFC 4861 section 7.2.5: only the state changes.
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

    /// Keeps the address of a destination or a gateway resolved.
    pub(super) fn want(&mut self, next_hop: NextHopKey, now: Instant) {
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

    /// Ends one [`Self::want`]: without destinations and gateways it is solicited again only for a frame.
    pub(super) fn unwant(&mut self, next_hop: NextHopKey) {
        if let Some(entry) = self.entries.get_mut(&next_hop) {
            entry.wanted = false;
            entry.asked_for = false;
        }
    }

    /// Replaces the permanent addresses. Removed ones are forgotten, or solicited if wanted.
    pub(super) fn set_permanent(&mut self, list: &BTreeMap<NextHopKey, [u8; 6]>, now: Instant) {
        let dropped: Vec<NextHopKey> = self
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
            // A new entry was created with this MAC address already.
            self.changed.insert(*next_hop);
            entry.mac = *mac;
            entry.state = State::Permanent;
            self.release(*next_hop);
        }
    }

    /// Advances all entries that are due. Called about every 100 ms.
    pub(super) fn tick(&mut self, now: Instant) {
        self.budget = SOLICITATIONS;
        self.swept = false;
        let due: Vec<NextHopKey> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state.due().is_some_and(|due| due <= now))
            .map(|(next_hop, _)| *next_hop)
            .collect();
        for next_hop in due {
            self.step(next_hop, now);
        }
    }

    /// Advances one entry.
    fn step(&mut self, next_hop: NextHopKey, now: Instant) {
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

    /// Sends the next solicitation; without budget it stays due.
    fn solicit(&mut self, next_hop: NextHopKey, now: Instant) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        let mac = entry.usable();
        let (State::Incomplete { tries, next } | State::Probe { tries, next }) = &mut entry.state
        else {
            return;
        };
        // Half of the budget is reserved for wanted ones: a network scan must not delay servers.
        if self.budget > if entry.wanted { 0 } else { SOLICITATIONS / 2 } {
            self.budget -= 1;
            *tries += 1;
            *next = now + RETRANSMIT;
            self.effects.push_back(Effect::Solicit { next_hop, mac });
        }
    }

    /// The address can no longer be used: solicits it again if it is wanted, otherwise removes it.
    fn lose(&mut self, next_hop: NextHopKey, now: Instant) {
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

    /// Returns true if the next hop has an entry, an old or a new one.
    fn admit(&mut self, next_hop: NextHopKey, now: Instant) -> bool {
        let room = self.entries.contains_key(&next_hop) || self.has_room();
        if room {
            let new = || Entry::new(State::Incomplete { tries: 0, next: now }, [0; 6]);
            self.entries.entry(next_hop).or_insert_with(new);
        }
        room
    }

    /// True if there is room for one more entry. Once per tick it makes room by removing entries that are unused and
    /// that no frame waits for.
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

    /// Queues a frame until the next hop answers. As in Linux the newest replaces the oldest.
    fn enqueue(&mut self, next_hop: NextHopKey, frame: F, now: Instant) {
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

    /// Sends the frames that waited for the address.
    fn release(&mut self, next_hop: NextHopKey) {
        let Some(entry) = self.entries.get_mut(&next_hop) else { return };
        let (interface, mac) = (next_hop.0, entry.mac);
        self.queued -= entry.queue.len();
        let waited = entry.queue.drain(..).map(|frame| Effect::Send { interface, mac, frame });
        self.effects.extend(waited);
    }
}

impl State {
    /// Time of the next step.
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
