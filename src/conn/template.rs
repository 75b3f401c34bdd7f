//! Persistence templates: the destination of a client's next connection.
//!
//! All workers share them, because a client's connections arrive at any worker. They are used only when a connection is
//! created or ends, and are split into shards with one lock each, so that workers rarely wait. All memory is reserved
//! at the start.
//!
//! Capacity: the configured number is the limit of each service; an eighth more is for other services. Without room a
//! new template replaces another one, oldest first ([`Worth`]): an unassured one of a half-open connection, then one of
//! UDP whose client has sent one packet, so a flood replaces its own templates, not those of clients that are there. If there is
//! neither, a service that has less than its share replaces one of a service that has more.
//!
//! A template's timer is computed: each access first applies what the timer did since the last one. The control thread
//! sweeps out expired templates.

use super::call_ids::CallIds;
pub use super::template_cursor::SweepCursor;
use super::template_key::TemplateKey;
use crate::limits::{SERVICES_DEFAULT, TEMPLATE_RESERVE, TEMPLATES_LOOKED_AT};
use crate::time::{Duration, Instant};
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Number of locks; each has the same share of the templates, except for chance.
const SHARDS: usize = 64;

const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// Templates visited under one lock by a sweep or a listing; takes some microseconds.
const UNDER_LOCK: usize = 128;

/// An expired template with connections is extended by this many seconds, which becomes its timeout.
const CONTROLLING_S: u32 = 60;
/// In the kernel a connection that ends together with its template ends first. Here the worker notices the end later:
/// up to two turns of its timer wheel and a poll. So a template waits this long before it is extended.
const TIE: Duration = Duration::from_millis(250);

/// Virtual and destination port of an invalidated template.
const INVALIDATED_PORT: u16 = u16::MAX;

/// Maximum templates: a 32-bit number has shard, slot and at least three bits for the slot's use.
const CAPACITY_MAX: usize = 1 << 28;

/// There is no room for another template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of persistence templates is full")]
pub struct TemplatesFull;

/// Number of a template, never zero, stored in `Connection::template`. It contains the shard, its slot, and a counter
/// of the slot's uses, so a number of a replaced template names no other one. The counter has the remaining bits.
/// Before it wraps, every slot was reused often enough for older connections to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub u32);

/// A template to create, with the scheduled destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTemplate<'a> {
    /// `DestinationId`.
    pub destination: u32,
    pub destination_port: u16,
    /// `ServiceId`.
    pub service: u32,
    /// The service's persistence timeout in seconds.
    pub timeout_s: u32,
    /// The SIP Call-ID, for listings; empty without the sip engine.
    pub call_id: &'a [u8],
    /// Its first connection is half-open (TCP, SCTP): until the template is assured, it may be replaced.
    pub half_open: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Template {
    pub key: TemplateKey,
    /// `DestinationId`.
    pub destination: u32,
    pub destination_port: u16,
    /// `ServiceId`.
    pub service: u32,
    pub timeout_s: u32,
    /// Packets of one-packet scheduling, saturating.
    pub in_packets: u32,
    /// Number of its connections.
    pub controlled: u32,
    /// One of its connections was established, or answered.
    pub assured: bool,
    half_open: bool,
    /// Its client has sent a second packet. Matters for UDP, where nothing else shows that the client is there.
    returned: bool,
    /// Number of the Call-ID in its shard; 0 for none.
    call_id: u32,
    /// Counter of its slot's uses.
    turn: u32,
    /// When the timer was last started.
    stamp: Instant,
    /// True if lookups find it.
    keyed: bool,
}

impl Template {
    fn deadline(&self) -> Instant {
        self.stamp + Duration::from_secs(self.timeout_s.into())
    }

    /// Applies the timer until `now`. False if the template has expired. One with connections is extended instead by 60
    /// seconds at a time, and keeps that timeout.
    fn settle(&mut self, now: Instant) -> bool {
        let deadline = self.deadline();
        if now < deadline {
            return true;
        }
        if self.controlled == 0 {
            return false;
        }
        if now < deadline + TIE {
            return true;
        }
        let turn = Duration::from_secs(CONTROLLING_S.into()).as_nanos() as u64;
        let past = (now - deadline).as_nanos() as u64 / turn * turn;
        self.stamp = deadline + Duration::from_nanos(past);
        self.timeout_s = CONTROLLING_S;
        true
    }

    /// Time since its timer was last started.
    pub fn idle(&self, now: Instant) -> Duration {
        now.since(self.stamp)
    }

    /// Time until it expires or is extended.
    pub fn remaining(&self, now: Instant) -> Duration {
        let deadline = self.deadline();
        // An expired template with connections waits for [`TIE`] and is then extended from its deadline.
        let is_due = self.controlled > 0 && now >= deadline;
        let end =
            if is_due { deadline + Duration::from_secs(CONTROLLING_S.into()) } else { deadline };
        end - now
    }

    /// The state in listings.
    pub const fn state_name(&self) -> &'static str {
        if self.assured { "ASSURED" } else { "NONE" }
    }
}

/// What is lost with a template, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// It has expired, or belongs to a half-open connection that was not established.
    Nothing,
    /// Of UDP, without an answer or a second packet.
    OnePacket,
    /// Its client is there, but the service has more than its share.
    Surplus,
}

/// What a new connection uses a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It uses the template until [`Templates::release`].
    Connection,
    /// One-packet scheduling: only the packet is counted.
    OnePacket,
}

/// The template bound to a connection.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub id: TemplateId,
    pub template: Template,
    /// It is new: its destination has one more persistent connection.
    pub created: bool,
}

struct Shard {
    /// Slots by key.
    keyed: HashTable<u32>,
    slots: Vec<Option<Template>>,
    vacant: Vec<u32>,
    call_ids: CallIds,
    /// Where the next search for a replaceable template starts.
    hand: usize,
    /// Counts the uses of slots.
    turn: u32,
}

/// The persistence templates of all services.
pub struct Templates {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    len: AtomicUsize,
    shard_capacity: usize,
    /// Number of bits of the slot in a [`TemplateId`].
    slot_bits: u32,
    /// Number of templates of each service, by the low bits of its ID.
    by_service: Box<[AtomicU32]>,
    /// Maximum templates of one service.
    service_capacity: u32,
    /// Number of services with templates.
    services: AtomicU32,
}

impl Templates {
    /// Room for `capacity` templates of one service, and for an eighth more of others. Keys are spread over the shards
    /// at random, so each shard has six standard deviations more than its share.
    pub fn new(capacity: usize) -> Templates {
        let capacity = capacity.clamp(1, CAPACITY_MAX);
        let share = (capacity + capacity / TEMPLATE_RESERVE).div_ceil(SHARDS);
        let shard_capacity = share + 6 * share.isqrt() + 8;
        let shard = || {
            Mutex::new(Shard {
                // At most half full, so that it rehashes in place and never grows.
                keyed: HashTable::with_capacity(2 * shard_capacity),
                slots: Vec::with_capacity(shard_capacity),
                vacant: Vec::with_capacity(shard_capacity),
                call_ids: CallIds::new(shard_capacity),
                hand: 0,
                turn: 0,
            })
        };
        Templates {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            shard_capacity,
            slot_bits: usize::BITS - shard_capacity.leading_zeros(),
            by_service: std::iter::repeat_with(AtomicU32::default).take(SERVICES_DEFAULT).collect(),
            service_capacity: capacity as u32,
            services: AtomicU32::new(0),
        }
    }

    /// Returns the template for `key` with its timer restarted: the existing one if it is `usable`, otherwise a new one
    /// from `create`. An unusable one is invalidated: lookups no longer find it, and it expires by its timer. Returns
    /// `Ok(None)` if `create` has no destination. `create` runs under the shard's lock, so that two workers give a
    /// client the same destination; it must not call the templates. `gone` is called for an expired template found here
    /// and for a replaced one, so at most twice.
    ///
    /// # Errors
    /// [`TemplatesFull`]: the table is full, and a bounded search found no template to replace.
    pub fn bind<'a>(
        &self,
        key: &TemplateKey,
        purpose: Use,
        now: Instant,
        usable: impl FnOnce(&Template) -> bool,
        create: impl FnOnce() -> Option<NewTemplate<'a>>,
        mut gone: impl FnMut(&Template),
    ) -> Result<Option<Bound>, TemplatesFull> {
        let hash = self.hasher.hash_one(key);
        let shard_number = (hash >> 32) as usize % SHARDS;
        let shard = &mut *self.shards[shard_number].lock();
        let mut slot = shard.find(hash, key);
        if let Some(found) = slot {
            #[expect(clippy::expect_used, reason = "the index names slots in use only")]
            let template = shard.slots[found as usize].as_mut().expect("a keyed slot is in use");
            if !template.settle(now) {
                gone(template);
                self.take(shard, found as usize);
                slot = None;
            } else if !usable(template) {
                template.key.virtual_port = INVALIDATED_PORT;
                template.destination_port = INVALIDATED_PORT;
                template.keyed = false;
                shard.unkey(hash, found);
                slot = None;
            }
        }
        let created = slot.is_none();
        let slot = match slot {
            Some(found) => found,
            None => {
                let Some(new) = create() else { return Ok(None) };
                self.make_room(shard, new.service, now, gone)?;
                self.len.fetch_add(1, Ordering::Relaxed);
                if self.of_service(new.service).fetch_add(1, Ordering::Relaxed) == 0 {
                    self.services.fetch_add(1, Ordering::Relaxed);
                }
                let call_id = shard.call_ids.keep(new.call_id);
                shard.turn = shard.turn.wrapping_add(1);
                let template = Template::new(key, new, (call_id, shard.turn), now);
                shard.insert(hash, template, &self.hasher)
            }
        };
        #[expect(clippy::expect_used, reason = "found by its key or just inserted")]
        let template = shard.slots[slot as usize].as_mut().expect("found or just inserted");
        template.stamp = now;
        template.returned |= !created;
        match purpose {
            Use::Connection => template.controlled += 1,
            Use::OnePacket => template.in_packets = template.in_packets.saturating_add(1),
        }
        let id = self.id(shard_number, slot, template);
        Ok(Some(Bound { id, template: *template, created }))
    }

    /// Makes room in the shard for a template of `service`, within the service's limit.
    fn make_room(
        &self,
        shard: &mut Shard,
        service: u32,
        now: Instant,
        mut gone: impl FnMut(&Template),
    ) -> Result<(), TemplatesFull> {
        let used = self.of_service(service).load(Ordering::Relaxed);
        // A service at its limit replaces only its own templates.
        let of_service = (used >= self.service_capacity).then_some(service);
        if of_service.is_none() && !shard.is_full(self.shard_capacity) {
            return Ok(());
        }
        let share = self.share(used == 0);
        let has_surplus =
            |other: u32| used < share && self.of_service(other).load(Ordering::Relaxed) > share;
        let place = shard.expendable(of_service, now, has_surplus).ok_or(TemplatesFull)?;
        if let Some(template) = self.take(shard, place) {
            gone(&template);
        }
        Ok(())
    }

    /// The part of each service if all that have templates had equally many. `and_another`: and one more.
    fn share(&self, and_another: bool) -> u32 {
        let services = self.services.load(Ordering::Relaxed) + u32::from(and_another);
        ((SHARDS * self.shard_capacity) as u32 / services.max(1)).max(1)
    }

    fn of_service(&self, service: u32) -> &AtomicU32 {
        &self.by_service[service as usize % self.by_service.len()]
    }

    fn id(&self, shard: usize, slot: u32, template: &Template) -> TemplateId {
        let turn = template.turn.unbounded_shl(SHARD_BITS + self.slot_bits);
        TemplateId((turn | slot << SHARD_BITS | shard as u32).wrapping_add(1))
    }

    /// Shard and slot of a number.
    fn place(&self, id: TemplateId) -> (usize, usize) {
        let number = id.0.wrapping_sub(1);
        let slot = number >> SHARD_BITS & ((1 << self.slot_bits) - 1);
        (number as usize % SHARDS, slot as usize)
    }

    /// The template with this number, unless its slot was reused.
    fn named<'s>(&self, shard: &'s mut Shard, id: TemplateId) -> Option<&'s mut Template> {
        let (number, slot) = self.place(id);
        let template = shard.slots.get_mut(slot)?.as_mut()?;
        (self.id(number, slot as u32, template) == id).then_some(template)
    }

    /// [`TemplateKey::call`] of a SIP Call-ID: a hash under a secret key.
    pub fn call(&self, call_id: &[u8]) -> u64 {
        self.hasher.hash_one(call_id).max(1)
    }

    /// The Call-ID of the template with `key`.
    pub fn call_id(&self, id: TemplateId, key: &TemplateKey) -> Option<Vec<u8>> {
        let shard = &mut *self.shards[self.place(id).0].lock();
        let call_id = self.named(shard, id).filter(|template| template.key == *key)?.call_id;
        Some(shard.call_ids.text(call_id).to_vec())
    }

    /// A connection of template `id` has ended. Returns a copy of the template.
    pub fn release(&self, id: TemplateId, now: Instant) -> Option<Template> {
        self.with(id, |template| {
            template.settle(now);
            template.controlled = template.controlled.saturating_sub(1);
            *template
        })
    }

    /// A connection of the template was established or answered.
    pub fn assure(&self, id: TemplateId) {
        self.with(id, |template| template.assured = true);
    }

    /// The template's client has sent a second packet.
    pub fn confirm(&self, id: TemplateId) {
        self.with(id, |template| template.returned = true);
    }

    /// A copy of the template.
    pub fn get(&self, id: TemplateId, now: Instant) -> Option<Template> {
        self.with(id, |template| {
            template.settle(now);
            *template
        })
    }

    /// Removes and returns a template that has no connections, if `unwanted` agrees.
    pub fn remove_if(
        &self,
        id: TemplateId,
        unwanted: impl FnOnce(&Template) -> bool,
    ) -> Option<Template> {
        let (shard, slot) = self.place(id);
        let shard = &mut *self.shards[shard].lock();
        let template = self.named(shard, id)?;
        if template.controlled > 0 || !unwanted(template) {
            return None;
        }
        self.take(shard, slot)
    }

    /// Visits `budget` templates from `cursor` on. Removes expired ones, and those without connections that are
    /// `unwanted` (chosen by the defence). `gone` is called for each. Wraps around; must be called often enough that
    /// all are visited within the seconds that a listing may be late.
    pub fn sweep(
        &self,
        cursor: &mut SweepCursor,
        budget: usize,
        now: Instant,
        mut unwanted: impl FnMut(&Template) -> bool,
        mut gone: impl FnMut(&Template),
    ) {
        let mut left = budget;
        let mut shards_left = SHARDS;
        while left > 0 && shards_left > 0 {
            let shard = &mut *self.shards[cursor.shard].lock();
            let end = shard.slots.len().min(cursor.slot + UNDER_LOCK.min(left));
            for slot in cursor.slot..end {
                let Some(template) = shard.slots[slot].as_mut() else { continue };
                let ended = !template.settle(now);
                if ended || (template.controlled == 0 && unwanted(template)) {
                    gone(template);
                    self.take(shard, slot);
                }
            }
            left -= end.saturating_sub(cursor.slot).max(1);
            let wrapped = cursor.advance(end, shard.slots.len(), SHARDS);
            shards_left -= usize::from(wrapped);
        }
    }

    /// A part of a listing: up to `max` templates from `cursor` on, and the next cursor, or `None` at the end. A
    /// template that exists during the whole listing is returned exactly once.
    pub fn rows_from(
        &self,
        mut cursor: SweepCursor,
        max: usize,
        now: Instant,
    ) -> (Vec<(TemplateId, Template)>, Option<SweepCursor>) {
        let mut rows = Vec::new();
        while rows.len() < max {
            let shard = &mut *self.shards[cursor.shard].lock();
            let end = shard.slots.len().min(cursor.slot + UNDER_LOCK.min(max - rows.len()));
            for slot in cursor.slot..end {
                if let Some(template) = shard.slots[slot].as_mut()
                    && template.settle(now)
                {
                    rows.push((self.id(cursor.shard, slot as u32, template), *template));
                }
            }
            if cursor.advance(end, shard.slots.len(), SHARDS) && cursor.shard == 0 {
                return (rows, None);
            }
        }
        (rows, Some(cursor))
    }

    /// Number of templates, including expired ones that were not swept yet.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<R>(&self, id: TemplateId, change: impl FnOnce(&mut Template) -> R) -> Option<R> {
        let shard = &mut *self.shards[self.place(id).0].lock();
        self.named(shard, id).map(change)
    }

    fn take(&self, shard: &mut Shard, slot: usize) -> Option<Template> {
        let template = shard.slots[slot].take()?;
        if template.keyed {
            shard.unkey(self.hasher.hash_one(template.key), slot as u32);
        }
        shard.call_ids.release(template.call_id);
        shard.vacant.push(slot as u32);
        self.len.fetch_sub(1, Ordering::Relaxed);
        if self.of_service(template.service).fetch_sub(1, Ordering::Relaxed) == 1 {
            self.services.fetch_sub(1, Ordering::Relaxed);
        }
        Some(template)
    }
}

impl Template {
    fn new(
        key: &TemplateKey,
        new: NewTemplate<'_>,
        (call_id, turn): (u32, u32),
        now: Instant,
    ) -> Template {
        Template {
            key: *key,
            destination: new.destination,
            destination_port: new.destination_port,
            service: new.service,
            timeout_s: new.timeout_s,
            in_packets: 0,
            controlled: 0,
            assured: false,
            half_open: new.half_open,
            returned: false,
            call_id,
            turn,
            stamp: now,
            keyed: true,
        }
    }

    /// `None` if it may not be replaced. `has_surplus`: its service has more than its share.
    fn worth(&mut self, now: Instant, has_surplus: impl Fn(u32) -> bool) -> Option<Worth> {
        match (self.assured, self.half_open) {
            (false, true) => Some(Worth::Nothing),
            _ if !self.settle(now) => Some(Worth::Nothing),
            (false, false) if !self.returned => Some(Worth::OnePacket),
            _ => has_surplus(self.service).then_some(Worth::Surplus),
        }
    }
}

impl Shard {
    fn find(&self, hash: u64, key: &TemplateKey) -> Option<u32> {
        let bears_key = |slot: &u32| {
            self.slots[*slot as usize].as_ref().is_some_and(|template| template.key == *key)
        };
        self.keyed.find(hash, bears_key).copied()
    }

    fn is_full(&self, capacity: usize) -> bool {
        self.vacant.is_empty() && self.slots.len() == capacity
    }

    /// A slot whose template may be replaced; only of `service`, if given. Slots are searched in turn, so the oldest of
    /// the least worth comes first.
    fn expendable(
        &mut self,
        service: Option<u32>,
        now: Instant,
        has_surplus: impl Fn(u32) -> bool,
    ) -> Option<usize> {
        let mut least: Option<(Worth, usize)> = None;
        for _ in 0..TEMPLATES_LOOKED_AT.min(self.slots.len()) {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let Some(template) = &mut self.slots[self.hand] else { continue };
            if service.is_some_and(|service| template.service != service) {
                continue;
            }
            let Some(worth) = template.worth(now, &has_surplus) else { continue };
            if least.is_none_or(|(found, _)| worth < found) {
                least = Some((worth, self.hand));
            }
            if worth == Worth::Nothing {
                break;
            }
        }
        let (_, slot) = least?;
        self.hand = slot;
        Some(slot)
    }

    fn insert(&mut self, hash: u64, template: Template, hasher: &RandomState) -> u32 {
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(template);
                slot
            }
            None => {
                self.slots.push(Some(template));
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        #[expect(clippy::expect_used, reason = "the index names slots in use only")]
        let rehash = |slot: &u32| {
            hasher.hash_one(slots[*slot as usize].as_ref().expect("a keyed slot is in use").key)
        };
        self.keyed.insert_unique(hash, slot, rehash);
        slot
    }

    fn unkey(&mut self, hash: u64, slot: u32) {
        if let Ok(entry) = self.keyed.find_entry(hash, |keyed| *keyed == slot) {
            entry.remove();
        }
    }
}
