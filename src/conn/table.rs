//! The connection table of one worker and one address family.
//!
//! Memory in bytes per connection: an entry of 64 (IPv4) or 128 (IPv6), 34 for the index with room for NAT's second
//! reference, and 8 for links between connections with the same reply tuple: 106 and 170 in all. It is mapped when the
//! table is created and never grows.
//!
//! Connections of one client port to several virtual services may have the same NAT server, and so the same reply
//! tuple. As in IPVS their replies belong to the newest connection. The index contains only that one, which links to
//! the next older one; that takes its place when it ends. So such connections do not lengthen the index's chains.
//!
//! A burst is looked up in three passes, so that memory accesses overlap: `hash` and `prefetch_bucket`, then
//! `prefetch_entry`, then `verify_hint`, and `find` if the hint was wrong.

use super::connection::{Connection, ConnectionId, Direction};
use super::flags::Method;
use super::hash::{Hash, Key};
use super::index::Index;
use super::memory::{OutOfMemory, Slab, prefetch};
use super::wheel::Wheel;
use crate::model::ReplySource;
use crate::packet::{Address, Tuple};

/// Maximum connections of one table: references are counted in 32 bits, two per connection.
const CAPACITY_MAX: usize = 1 << 30;

/// Why a table could not be created.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("a connection table holds 1 to {CAPACITY_MAX} connections, not {0}")]
    Capacity(usize),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// No entry is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection table is full")]
pub struct TableFull;

/// The entry that a lookup will probably find; the default names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint(u32);

/// The newer and the older NAT connection with the same reply tuple; zero ends the list. The newest is in the index.
#[derive(Clone, Copy, Debug, Default)]
struct SameReply {
    newer: u32,
    older: u32,
}

/// The connections of one worker and one address family.
pub struct Table<A> {
    /// Entry zero is never used.
    pub(super) entries: Slab<Connection<A>>,
    pub(super) index: Index,
    same_reply: Slab<SameReply>,
    pub(super) wheel: Wheel,
    key: Key,
    len: usize,
    /// Number of connections whose original tuple a newer one has.
    pub(super) older: u32,
    /// Entries from here on were never used.
    unused: u32,
    /// First vacant entry that was used before, linked by `next`; zero ends the list.
    vacant: u32,
}

impl<A: Address> Table<A> {
    /// Creates an empty table for `capacity` connections with a random hash key. All its memory is written here: call
    /// it on the worker's own core.
    ///
    /// # Errors
    /// If `capacity` is zero or above 2^30, or there is not enough memory.
    pub fn new(capacity: usize) -> Result<Table<A>, TableError> {
        Table::with_key(capacity, Key::random())
    }

    /// As [`Table::new`], with a given key.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn with_key(capacity: usize, key: Key) -> Result<Table<A>, TableError> {
        if capacity == 0 || capacity > CAPACITY_MAX {
            return Err(TableError::Capacity(capacity));
        }
        Ok(Table {
            entries: Slab::new(capacity + 1, Connection::new(Tuple::default(), Method::Masq))?,
            index: Index::new(2 * capacity)?,
            same_reply: Slab::new(capacity + 1, SameReply::default())?,
            wheel: Wheel::new(),
            key,
            len: 0,
            older: 0,
            unused: 1,
            vacant: 0,
        })
    }

    /// Hashes a packet's tuple. Both directions of a flow have the same hash, except NAT replies, which have the
    /// destination's address.
    #[inline]
    pub fn hash(&self, tuple: &Tuple<A>) -> Hash {
        self.key.hash(tuple, self.index.buckets())
    }

    /// First stage of a lookup: prefetches the bucket.
    #[inline]
    pub fn prefetch_bucket(&self, hash: Hash) {
        self.index.prefetch(hash);
    }

    /// Second stage: prefetches and returns the entry that [`Table::verify_hint`] will compare.
    #[inline]
    pub fn prefetch_entry(&self, hash: Hash) -> Hint {
        let Some(number) = self.index.peek(hash) else { return Hint::default() };
        let entry = self.entries.as_ptr().wrapping_add(number as usize);
        prefetch(entry);
        if size_of::<Connection<A>>() > 64 {
            prefetch(entry.wrapping_byte_add(64));
        }
        Hint(number)
    }

    /// Direction of the packet on the connection named by the hint, if the packet belongs to it; otherwise
    /// [`Table::find`] must look. Changes of the table since [`Table::prefetch_entry`] do not matter. The packet's
    /// protocol must have ports.
    #[inline(always)]
    pub fn verify_hint(&self, hint: Hint, tuple: &Tuple<A>) -> Option<(ConnectionId, Direction)> {
        let id = ConnectionId(hint.0);
        let entry = &self.entries[id.index()];
        // Vacant entries have protocol 0, which has no ports.
        if entry.is_original(tuple) {
            return Some((id, Direction::Original));
        }
        entry.is_reply(tuple).then_some((id, Direction::Reply))
    }

    /// The connection of a packet, and the packet's direction.
    // Always inlined: the full path looks up every packet, and its rare callers must not make that a call.
    #[inline(always)]
    pub fn find(&self, hash: Hash, tuple: &Tuple<A>) -> Option<(ConnectionId, Direction)> {
        self.index.find(hash, |number| {
            let direction = self.entries[number as usize].direction(tuple)?;
            Some((ConnectionId(number), direction))
        })
    }

    /// Adds a connection and starts its timer: it expires `timeout_s` after `now_ms` unless a packet arrives. The
    /// caller has checked that the table has none with its original tuple.
    ///
    /// # Errors
    /// [`TableFull`] if the table holds `capacity` connections, and only then.
    pub fn insert(
        &mut self,
        connection: Connection<A>,
        now_ms: u32,
    ) -> Result<ConnectionId, TableFull> {
        // From the caller's copy: the entry itself may not be in the cache.
        let references = self.references_of(&connection);
        self.prefetch_references(references);
        let number = self.take_vacant().ok_or(TableFull)?;
        let entry = &mut self.entries[number as usize];
        *entry = connection;
        entry.stamp = now_ms;
        let remaining_ms = u64::from(connection.timeout_s) * 1000;
        self.wheel.file(&mut self.entries, number, now_ms, remaining_ms);
        self.index(number, references);
        self.len += 1;
        Ok(ConnectionId(number))
    }

    /// The connection `id`.
    #[inline]
    pub fn get(&self, id: ConnectionId) -> &Connection<A> {
        &self.entries[id.index()]
    }

    /// The connection `id`, to count, stamp and change its state. Its timeout must be changed by
    /// [`Table::set_timeout`], and the fields that the index uses must not change.
    #[inline]
    pub fn get_mut(&mut self, id: ConnectionId) -> &mut Connection<A> {
        &mut self.entries[id.index()]
    }

    /// True if `id` names a connection now.
    #[inline]
    pub fn contains(&self, id: ConnectionId) -> bool {
        self.entries.get(id.index()).is_some_and(Connection::is_filed)
    }

    /// The connection in entry `number`, if any: for walks that change connections.
    #[inline]
    pub fn id(&self, number: u32) -> Option<ConnectionId> {
        let id = ConnectionId(number);
        self.contains(id).then_some(id)
    }

    /// Removes a connection. Removing a connection twice changes nothing and returns the old entry.
    pub fn remove(&mut self, id: ConnectionId) -> Connection<A> {
        self.take_out(id, false)
    }

    /// [`Table::remove`]; `are_prefetched`: the buckets of its references are in the cache already.
    #[inline(always)]
    pub(super) fn take_out(&mut self, id: ConnectionId, are_prefetched: bool) -> Connection<A> {
        let connection = self.entries[id.index()];
        if !connection.is_filed() {
            return connection;
        }
        let references = self.references(id.0);
        if !are_prefetched {
            self.prefetch_references(references);
        }
        self.wheel.unfile(&mut self.entries, id.0);
        self.unindex(id.0, references);
        let entry = &mut self.entries[id.index()];
        entry.protocol = 0;
        entry.links.next = self.vacant;
        self.vacant = id.0;
        self.len -= 1;
        connection
    }

    /// Restarts the timeout after a packet.
    #[inline]
    pub fn touch(&mut self, id: ConnectionId, now_ms: u32) {
        self.entries[id.index()].stamp = now_ms;
    }

    /// Restarts the timer after a packet with this timeout. The wheel changes only if the new deadline is before its
    /// next visit. A timeout of zero expires the connection at the next tick.
    #[inline]
    pub fn set_timeout(&mut self, id: ConnectionId, timeout_s: u32, now_ms: u32) {
        let entry = &mut self.entries[id.index()];
        entry.stamp = now_ms;
        if entry.timeout_s != timeout_s {
            self.change_timeout(id, timeout_s, now_ms);
        }
    }

    #[inline(never)]
    fn change_timeout(&mut self, id: ConnectionId, timeout_s: u32, now_ms: u32) {
        let entry = &mut self.entries[id.index()];
        entry.timeout_s = timeout_s;
        let remaining_ms = u64::from(timeout_s) * 1000;
        if entry.is_filed() && self.wheel.is_late(entry.filed, now_ms, remaining_ms) {
            self.wheel.unfile(&mut self.entries, id.0);
            self.wheel.file(&mut self.entries, id.0, now_ms, remaining_ms);
        }
    }

    /// Number of connections in the table.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Maximum number of connections.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.entries.len() - 1
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == self.capacity()
    }

    /// Share of the capacity in use, 0 to 1.
    #[inline]
    pub fn fill(&self) -> f64 {
        self.len as f64 / self.capacity() as f64
    }

    /// Bytes of memory, used or not.
    pub fn bytes(&self) -> usize {
        size_of_val::<[Connection<A>]>(&self.entries)
            + self.index.bytes()
            + size_of_val::<[SameReply]>(&self.same_reply)
    }

    /// A part of a walk over the table: the connections in `max` entries from `cursor` (0 to begin), and the next
    /// cursor, or `None` at the end. The order is that of the entries, so a connection that exists during the whole
    /// walk is returned exactly once.
    pub fn iter_from(
        &self,
        cursor: u32,
        max: usize,
    ) -> (impl Iterator<Item = (ConnectionId, &Connection<A>)>, Option<u32>) {
        let first = cursor.clamp(1, self.unused);
        let end = (first as usize).saturating_add(max).min(self.unused as usize) as u32;
        let rows = (first..end)
            .map(|number| (ConnectionId(number), &self.entries[number as usize]))
            .filter(|(_, connection)| connection.is_filed());
        (rows, (end < self.unused).then_some(end))
    }

    /// The hashes under which a connection is indexed.
    #[inline]
    pub(super) fn references(&self, number: u32) -> (Hash, Option<Hash>) {
        self.references_of(&self.entries[number as usize])
    }

    #[inline]
    fn references_of(&self, connection: &Connection<A>) -> (Hash, Option<Hash>) {
        let original = self.hash(&connection.original_tuple());
        if connection.flags.method().replies_from() == ReplySource::VirtualAddress {
            return (original, None);
        }
        let reply = self.hash(&connection.reply_tuple());
        (original, (reply != original).then_some(reply))
    }

    #[inline]
    pub(super) fn prefetch_references(&self, (original, reply): (Hash, Option<Hash>)) {
        self.index.prefetch(original);
        if let Some(reply) = reply {
            self.index.prefetch(reply);
        }
    }

    fn index(&mut self, number: u32, (original, reply): (Hash, Option<Hash>)) {
        self.index.insert(original, number);
        let Some(reply) = reply else { return };
        let tuple = self.entries[number as usize].reply_tuple();
        let is_newest = |other: u32| {
            let is_newest = self.same_reply[other as usize].newer == 0;
            is_newest && self.entries[other as usize].is_masq_reply(&tuple)
        };
        match self.index.find(reply, |other| is_newest(other).then_some(other)) {
            Some(older) if self.index.replace(reply, older, number) => {
                self.same_reply[older as usize].newer = number;
                self.same_reply[number as usize].older = older;
            }
            _ => self.index.insert(reply, number),
        }
    }

    fn unindex(&mut self, number: u32, (original, reply): (Hash, Option<Hash>)) {
        let mut found = self.index.remove(original, number);
        if self.older != 0 {
            found = self.unindex_among_older(number, original, found);
        }
        if let Some(reply) = reply {
            let SameReply { newer, older } = std::mem::take(&mut self.same_reply[number as usize]);
            found &= match (newer, older) {
                (0, 0) => self.index.remove(reply, number),
                (0, older) => self.index.replace(reply, number, older),
                _ => true,
            };
            if newer != 0 {
                self.same_reply[newer as usize].older = older;
            }
            if older != 0 {
                self.same_reply[older as usize].newer = newer;
            }
        }
        debug_assert!(found, "the key of connection {number} was changed");
    }

    #[inline]
    fn take_vacant(&mut self) -> Option<u32> {
        match self.vacant {
            0 if self.unused as usize == self.entries.len() => None,
            0 => {
                self.unused += 1;
                Some(self.unused - 1)
            }
            number => {
                self.vacant = self.entries[number as usize].links.next;
                Some(number)
            }
        }
    }
}
