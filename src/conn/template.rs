//! Persistence templates: which destination a client's next connection goes to.
//!
//! All workers share them, since a client's connections arrive on any of them. They are asked only when a
//! connection is made or ends, and lie in shards with a lock each, so that workers seldom meet. Every shard's
//! memory is there from the start.
//!
//! Room: a service has at most as many templates as were asked for, and an eighth more is for the other services. Where
//! there is no room for a new one, the place of an unassured template of a half-open connection is taken, the oldest
//! first: a flood of SYNs takes places from itself, not from clients that have got through.
//!
//! A template's timer is arithmetic: whoever looks at a template settles first what its timer did meanwhile. The
//! control thread sweeps out what has ended.

use super::call_ids::CallIds;
use super::template_key::TemplateKey;
use crate::limits::{SERVICES_DEFAULT, TEMPLATE_RESERVE, TEMPLATES_LOOKED_AT};
use crate::time::{Duration, Instant};
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Locks; each has as many templates as the others, but for chance.
const SHARDS: usize = 64;

const SHARD_BITS: u32 = SHARDS.trailing_zeros();

/// Templates looked at under one lock by a sweep or a listing: some microseconds.
const UNDER_LOCK: usize = 128;

/// A template that its connections keep alive is looked at again after this, and has this timeout ever after.
const CONTROLLING_S: u32 = 60;
/// In the kernel a connection that ends at the same moment as its template ends first. Here the worker notices the end of
/// the connection later: up to two turns of its timer wheel and a poll. A template waits this long before it is re-armed.
const TIE: Duration = Duration::from_millis(250);

/// The virtual and destination port of a template that is not to be found again.
const INVALIDATED_PORT: u16 = u16::MAX;

/// Most templates: a number of 32 bits has shard, slot and at least three bits of its slot's use.
const CAPACITY_MAX: usize = 1 << 28;

/// No room for another template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of persistence templates is full")]
pub struct TemplatesFull;

/// Number of a template, never zero: what `Connection::template` holds. It has the shard, the slot in it and which use of
/// the slot it is, so the number of a template whose place was taken names no other one. Uses are counted in as many bits
/// as are left; before they wrap, every place of the table was taken often enough for older connections to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub u32);

/// A template as its scheduler wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTemplate<'a> {
    /// `DestinationId`.
    pub destination: u32,
    pub destination_port: u16,
    /// `ServiceId`.
    pub service: u32,
    /// The service's persistence timeout.
    pub timeout_s: u32,
    /// The name of the SIP call, for listings; empty if calls are not told apart.
    pub call_id: &'a [u8],
    /// Its first connection is half-open (TCP, SCTP): until the template is assured, its place may be taken.
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
    /// Packets of one-packet connections; saturates.
    pub in_packets: u32,
    /// Connections that live by it.
    pub controlled: u32,
    /// One of its connections was established, or answered.
    pub assured: bool,
    half_open: bool,
    /// Number of the call's name in its shard; 0: none.
    call_id: u32,
    /// Which use of its slot it is.
    turn: u32,
    /// When the timer was started last.
    stamp: Instant,
    /// Whether lookups find it.
    keyed: bool,
}

impl Template {
    fn deadline(&self) -> Instant {
        self.stamp + Duration::from_secs(self.timeout_s.into())
    }

    /// Does what the timer did until `now`. False if the template has ended: a controlling one is re-armed
    /// instead, every 60 seconds, and keeps that timeout.
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

    /// Time until it ends, or until it is re-armed.
    pub fn remaining(&self, now: Instant) -> Duration {
        let deadline = self.deadline();
        // A controlling template that is due waits for [`TIE`], and is then re-armed from its deadline on.
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

/// What a new connection takes a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It lives by the template until [`Templates::release`].
    Connection,
    /// One packet, counted and gone.
    OnePacket,
}

/// The template a connection was given.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub id: TemplateId,
    pub template: Template,
    /// It is new: its destination has one more persistent connection.
    pub created: bool,
}

/// Where a sweep or a listing goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    shard: usize,
    slot: usize,
}

struct Shard {
    /// Slots by key.
    keyed: HashTable<u32>,
    slots: Vec<Option<Template>>,
    vacant: Vec<u32>,
    call_ids: CallIds,
    /// Where the next search for a place that may be taken begins.
    hand: usize,
    /// Counts the uses of slots.
    turn: u32,
}

/// See the module.
pub struct Templates {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    len: AtomicUsize,
    shard_capacity: usize,
    /// Bits of a slot's number in a [`TemplateId`].
    slot_bits: u32,
    /// Templates of each service, by the low bits of its number.
    by_service: Box<[AtomicU32]>,
    /// Most templates of one service.
    service_capacity: u32,
}

impl Templates {
    /// Room for `capacity` templates of one service, and for an eighth more of others. Keys spread over the shards at
    /// random, so each has six standard deviations more than its share.
    pub fn new(capacity: usize) -> Templates {
        let capacity = capacity.clamp(1, CAPACITY_MAX);
        let share = (capacity + capacity / TEMPLATE_RESERVE).div_ceil(SHARDS);
        let shard_capacity = share + 6 * share.isqrt() + 8;
        let shard = || {
            Mutex::new(Shard {
                // Half full at most, so that it cleans itself in place and never grows.
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
        }
    }

    /// The template for `key`, its timer restarted: the one there is, if it is `usable`, else the one `create`
    /// makes. An unusable one is invalidated: it ends by its timer, unfound. `Ok(None)` when `create` has no
    /// destination. `create` runs under the shard's lock, so that two workers give one client one destination; it
    /// may not call the templates. `gone` hears of a template that had ended before the sweep came by, and of one whose
    /// place was taken: two at most.
    ///
    /// # Errors
    /// [`TemplatesFull`] when there is no room, and no place that may be taken was found in a bounded search.
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
                self.of_service(new.service).fetch_add(1, Ordering::Relaxed);
                let call_id = shard.call_ids.keep(new.call_id);
                shard.turn = shard.turn.wrapping_add(1);
                let template = Template::new(key, new, (call_id, shard.turn), now);
                shard.insert(hash, template, &self.hasher)
            }
        };
        #[expect(clippy::expect_used, reason = "found by its key or just inserted")]
        let template = shard.slots[slot as usize].as_mut().expect("found or just inserted");
        template.stamp = now;
        match purpose {
            Use::Connection => template.controlled += 1,
            Use::OnePacket => template.in_packets = template.in_packets.saturating_add(1),
        }
        let id = self.id(shard_number, slot, template);
        Ok(Some(Bound { id, template: *template, created }))
    }

    /// Sees that the shard has a place for a template of `service`, and the service one to have.
    fn make_room(
        &self,
        shard: &mut Shard,
        service: u32,
        now: Instant,
        mut gone: impl FnMut(&Template),
    ) -> Result<(), TemplatesFull> {
        let used = self.of_service(service).load(Ordering::Relaxed);
        // Beyond its own bound a service takes places from itself alone.
        let of_service = (used >= self.service_capacity).then_some(service);
        if of_service.is_none() && !shard.is_full(self.shard_capacity) {
            return Ok(());
        }
        let place = shard.expendable(of_service, now).ok_or(TemplatesFull)?;
        if let Some(template) = self.take(shard, place) {
            gone(&template);
        }
        Ok(())
    }

    fn of_service(&self, service: u32) -> &AtomicU32 {
        &self.by_service[service as usize % self.by_service.len()]
    }

    fn id(&self, shard: usize, slot: u32, template: &Template) -> TemplateId {
        let turn = template.turn.unbounded_shl(SHARD_BITS + self.slot_bits);
        TemplateId((turn | slot << SHARD_BITS | shard as u32).wrapping_add(1))
    }

    /// The shard and the slot that a number names.
    fn place(&self, id: TemplateId) -> (usize, usize) {
        let number = id.0.wrapping_sub(1);
        let slot = number >> SHARD_BITS & ((1 << self.slot_bits) - 1);
        (number as usize % SHARDS, slot as usize)
    }

    /// The template that a number names, unless its place is another's by now.
    fn named<'s>(&self, shard: &'s mut Shard, id: TemplateId) -> Option<&'s mut Template> {
        let (number, slot) = self.place(id);
        let template = shard.slots.get_mut(slot)?.as_mut()?;
        (self.id(number, slot as u32, template) == id).then_some(template)
    }

    /// What stands for a SIP call's name in [`TemplateKey::call`]: a hash under a key nobody else knows.
    pub fn call(&self, call_id: &[u8]) -> u64 {
        self.hasher.hash_one(call_id).max(1)
    }

    /// The name of the call that the template known by `key` belongs to.
    pub fn call_id(&self, id: TemplateId, key: &TemplateKey) -> Option<Vec<u8>> {
        let shard = &mut *self.shards[self.place(id).0].lock();
        let call_id = self.named(shard, id).filter(|template| template.key == *key)?.call_id;
        Some(shard.call_ids.text(call_id).to_vec())
    }

    /// A connection that lived by `id` has ended. Returns what is left of the template.
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

    /// A copy of the template.
    pub fn get(&self, id: TemplateId, now: Instant) -> Option<Template> {
        self.with(id, |template| {
            template.settle(now);
            *template
        })
    }

    /// Takes a template out that controls nothing and that `unwanted` agrees to; returns it.
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

    /// Looks at `budget` templates from `cursor` on and takes out those that have ended, and those that control
    /// nothing and are `unwanted` (the defence's choice). `gone` hears of each. Wraps around; call it often
    /// enough to come round in the seconds a listing may be behind.
    pub fn sweep(
        &self,
        cursor: &mut Cursor,
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
            let wrapped = cursor.advance(end, shard.slots.len());
            shards_left -= usize::from(wrapped);
        }
    }

    /// A piece of a listing: up to `max` templates from `cursor` on, and where to go on, or `None` at the end. A
    /// template that lives through the whole listing is in it exactly once.
    pub fn rows_from(
        &self,
        mut cursor: Cursor,
        max: usize,
        now: Instant,
    ) -> (Vec<(TemplateId, Template)>, Option<Cursor>) {
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
            if cursor.advance(end, shard.slots.len()) && cursor.shard == 0 {
                return (rows, None);
            }
        }
        (rows, Some(cursor))
    }

    /// Templates there are, ended ones included that no sweep has met.
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
        self.of_service(template.service).fetch_sub(1, Ordering::Relaxed);
        Some(template)
    }
}

impl Cursor {
    /// Goes on at `slot`, or in the next shard if that is the end of this one: true.
    fn advance(&mut self, slot: usize, end: usize) -> bool {
        if slot < end {
            self.slot = slot;
            return false;
        }
        *self = Cursor { shard: (self.shard + 1) % SHARDS, slot: 0 };
        true
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
            call_id,
            turn,
            stamp: now,
            keyed: true,
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

    /// A slot that may be taken: of a template that has ended, or of an unassured one of a half-open connection; of
    /// `service` alone if that is given. Slots are gone through in turn, so the oldest goes first.
    fn expendable(&mut self, service: Option<u32>, now: Instant) -> Option<usize> {
        for _ in 0..TEMPLATES_LOOKED_AT.min(self.slots.len()) {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            if let Some(template) = &mut self.slots[self.hand]
                && service.is_none_or(|service| template.service == service)
                && (template.half_open && !template.assured || !template.settle(now))
            {
                return Some(self.hand);
            }
        }
        None
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
