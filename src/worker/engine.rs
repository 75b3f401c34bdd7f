//! The state of a worker between packets, in parts. Each step of the packet path uses only the parts that it needs.

use crate::conn::{Connection, Mode, Steps};
use crate::model::Family;
use crate::packet::Address;
use crate::scheduler::Cursor;
use crate::snapshot::{Destination, Snapshot};
use crate::time::Instant;
use crate::worker::accounts::Accounts;
use crate::worker::defence::Defence;
use crate::worker::fragment_table::FragmentTables;
use crate::worker::handoff::Owners;
use crate::worker::method::Encapsulator;
use crate::worker::tables::Tables;

/// State for decisions about packets.
pub(super) struct Engine<F> {
    pub(super) clock: Clock,
    pub(super) policy: Policy,
    pub(super) tables: Tables,
    pub(super) accounts: Accounts,
    pub(super) owners: Owners,
    pub(super) encapsulator: Encapsulator,
    /// Indexed by service: the position of its scheduler.
    pub(super) cursors: Box<[Cursor]>,
    pub(super) fragments: FragmentTables<F>,
    pub(super) defence: Defence,
}

/// The time of the current poll.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Instant,
    /// `now` in the wrapping milliseconds of connection stamps.
    pub(super) now_ms: u32,
}

/// Values derived from the current snapshot, computed once when it is adopted.
pub(super) struct Policy {
    pub(super) steps: Steps,
    /// By family: true if packets may belong to connections.
    pub(super) looks_up: [bool; 2],
    /// By family: true if packets of connections may take the fast path.
    pub(super) fast_path_on: [bool; 2],
}

impl<F> Engine<F> {
    pub(super) fn set_time(&mut self, now: Instant) {
        self.clock = Clock { now, now_ms: now.as_millis() as u32 };
    }

    /// Caches the values derived from the snapshot. Called once per snapshot.
    pub(super) fn adopt_snapshot(&mut self, snapshot: &Snapshot) {
        self.policy.adopt_snapshot(snapshot);
        self.defence.adopt_snapshot(snapshot);
    }
}

impl Policy {
    fn adopt_snapshot(&mut self, snapshot: &Snapshot) {
        let mode = if snapshot.settings.secure_tcp { Mode::Secure } else { Mode::Normal };
        self.steps.adopt(mode, snapshot.settings.timeouts);
        for family in [Family::Ipv4, Family::Ipv6] {
            let serves = snapshot.services.serves(family);
            self.looks_up[family as usize] = serves;
            self.fast_path_on[family as usize] = serves && !snapshot.settings.inbound_off;
        }
    }
}

/// The destination of a connection; `None` if it has none (cache bypass).
#[inline]
pub(super) fn destination_of<'w, A: Address>(
    snapshot: &'w Snapshot,
    connection: &Connection<A>,
) -> Option<&'w Destination> {
    // NO_DESTINATION is never the ID of a destination.
    snapshot.destinations.get(connection.destination as usize)
}
