//! Connections that end: by their timer, or by the drop_entry defence.

use super::aged::Aged;
use super::engine::{Engine, forget};
use super::tables::{Flows, Tables};
use super::{CHORE_BUDGET, EXPIRE_BUDGET, Worker};
use crate::conn::template::{Template, TemplateId};
use crate::conn::{Connection, NO_TEMPLATE, Verdict, sctp, tcp};
use crate::model::Protocol;
use crate::port::{Frame, Queue};
use crate::service::Snapshot;
use crate::stop::DropReason;
use crate::time::Duration;
use arrayvec::ArrayVec;

impl<Q: Queue> Worker<Q> {
    /// The bounded rest of a poll: expiry, late fragments, chores, what control reads.
    pub(super) fn housekeep(&mut self) {
        let world: &Snapshot = self.snapshot.current();
        self.engine.expire::<u32>(world);
        self.engine.expire::<u128>(world);
        let now_ms = self.engine.now_ms;
        while let Some((_, port)) = self.engine.fragments_ipv4.timed_out(now_ms) {
            self.output.drop_frame(port, DropReason::FragmentTimedOut);
        }
        while let Some((_, port)) = self.engine.fragments_ipv6.timed_out(now_ms) {
            self.output.drop_frame(port, DropReason::FragmentTimedOut);
        }
        self.work_on_chores();
        let Tables { ipv4, ipv6 } = &self.engine.tables;
        self.output.counters.connections_ipv4.set(ipv4.len() as u64);
        self.output.counters.connections_ipv6.set(ipv6.len() as u64);
    }
}

impl<F: Frame> Engine<F> {
    fn expire<A: Flows>(&mut self, world: &Snapshot) {
        let Engine { tables, loads, templates, now, now_ms, .. } = self;
        A::table_mut(tables).expire(*now_ms, EXPIRE_BUDGET, |_, connection| {
            forget(loads, templates, world, connection, *now);
            Verdict::Remove
        });
    }

    /// Looks at up to a budget of entries and ends those that the drop_entry rules give up. True when `left` is used
    /// up or the table's end is reached.
    pub(super) fn drop_entries<A: Flows>(&mut self, world: &Snapshot, left: &mut u32) -> bool {
        let capacity = A::table(&self.tables).capacity() as u64;
        let start = ((u64::from(self.random()) * capacity) >> 32) as u32;
        let look_at = (*left as usize).min(CHORE_BUDGET);
        let mut victims = ArrayVec::<_, CHORE_BUDGET>::new();
        let table = A::table(&self.tables);
        for (id, connection) in table.iter_from(start, look_at).0 {
            if is_expendable(connection, self.now_ms, &mut self.aged) {
                victims.push(id);
            }
        }
        for id in victims {
            let template = A::table(&self.tables).get(id).template;
            self.end::<A>(world, id);
            self.counters.entries_dropped.add(1);
            self.end_template(template, |template| !template.assured);
        }
        *left -= look_at as u32;
        *left == 0
    }

    /// A controller goes with the last connection that is taken from it, if it is `unwanted`.
    pub(super) fn end_template(&self, template: u32, unwanted: impl FnOnce(&Template) -> bool) {
        if template != NO_TEMPLATE
            && let Some(template) = self.templates.remove_if(TemplateId(template), unwanted)
            && let Some(line) = self.line(template.destination)
        {
            line.unbind_template();
        }
    }

    /// xorshift32 (Marsaglia): the defence must not be predictable in lockstep, not unpredictable in secret.
    fn random(&mut self) -> u32 {
        let mut next = self.random;
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        self.random = next;
        next
    }
}

/// What drop_entry may take: half-open connections always, established and stateless ones when aged, others never.
fn is_expendable<A: Flows>(connection: &Connection<A>, now_ms: u32, aged: &mut Aged) -> bool {
    let mut is_aged = || {
        let idle = Duration::from_millis(connection.idle_ms(now_ms).into());
        aged.takes(connection.in_packets, idle)
    };
    match Protocol::from_number(connection.protocol) {
        Some(Protocol::Tcp) => match tcp::TcpState::from_number(connection.state) {
            tcp::TcpState::SynReceived | tcp::TcpState::SynAck => true,
            tcp::TcpState::Established => is_aged(),
            _ => false,
        },
        Some(Protocol::Sctp) => match sctp::SctpState::from_number(connection.state) {
            sctp::SctpState::Init1 | sctp::SctpState::Init => true,
            sctp::SctpState::Established => is_aged(),
            _ => false,
        },
        Some(Protocol::Udp) | None => is_aged(),
    }
}
