//! Connections that end: by their timer, or by the drop_entry defence.

use crate::conn::template::{Template, TemplateId};
use crate::conn::{Connection, Expiry, NO_TEMPLATE, sctp, tcp};
use crate::io::{Frame, Queue};
use crate::model::Protocol;
use crate::reason::DropReason;
use crate::snapshot::Snapshot;
use crate::time::Duration;
use crate::worker::engine::{Engine, release_counts};
use crate::worker::tables::{Tables, WorkerFamily};
use crate::worker::upkeep::drop_entry::IdleSampler;
use crate::worker::{EXPIRE_BUDGET, JOB_BUDGET, Worker};
use arrayvec::ArrayVec;

impl<Q: Queue> Worker<Q> {
    /// The bounded rest of a poll: expiry, late fragments, chores, what control reads.
    pub(in crate::worker) fn housekeep(&mut self) {
        let snapshot: &Snapshot = self.snapshot.current();
        self.engine.expire::<u32>(snapshot);
        self.engine.expire::<u128>(snapshot);
        let now_ms = self.engine.now_ms;
        while let Some((_, port)) = self.engine.fragments_ipv4.timed_out(now_ms) {
            self.egress.drop_frame(port, DropReason::FragmentTimedOut);
        }
        while let Some((_, port)) = self.engine.fragments_ipv6.timed_out(now_ms) {
            self.egress.drop_frame(port, DropReason::FragmentTimedOut);
        }
        self.run_jobs();
        let Tables { ipv4, ipv6 } = &self.engine.tables;
        self.egress.counters.connections_ipv4.set(ipv4.len() as u64);
        self.egress.counters.connections_ipv6.set(ipv6.len() as u64);
    }
}

impl<F: Frame> Engine<F> {
    fn expire<A: WorkerFamily>(&mut self, snapshot: &Snapshot) {
        let Engine { tables, conn_counts, templates, now, now_ms, .. } = self;
        A::table_mut(tables).expire(*now_ms, EXPIRE_BUDGET, |_, connection| {
            release_counts(conn_counts, templates, snapshot, connection, *now);
            Expiry::Remove
        });
    }

    /// Looks at up to a budget of entries and ends those that the drop_entry rules give up. True when `left` is used
    /// up or the table's end is reached.
    pub(in crate::worker) fn drop_entries<A: WorkerFamily>(
        &mut self,
        snapshot: &Snapshot,
        left: &mut u32,
    ) -> bool {
        let capacity = A::table(&self.tables).capacity() as u64;
        let start = ((u64::from(self.random()) * capacity) >> 32) as u32;
        let look_at = (*left as usize).min(JOB_BUDGET);
        let mut victims = ArrayVec::<_, JOB_BUDGET>::new();
        let table = A::table(&self.tables);
        for (id, connection) in table.iter_from(start, look_at).0 {
            if is_expendable(connection, self.now_ms, &mut self.idle_sampler) {
                victims.push(id);
            }
        }
        for id in victims {
            let template = A::table(&self.tables).get(id).template;
            self.remove_connection::<A>(snapshot, id);
            self.counters.entries_dropped.add(1);
            self.end_template(template, |template| !template.assured);
        }
        *left -= look_at as u32;
        *left == 0
    }

    /// A controller goes with the last connection that is taken from it, if it is `unwanted`.
    pub(in crate::worker) fn end_template(
        &self,
        template: u32,
        unwanted: impl FnOnce(&Template) -> bool,
    ) {
        if template != NO_TEMPLATE
            && let Some(template) = self.templates.remove_if(TemplateId(template), unwanted)
            && let Some(stats) = self.stats_of(template.destination)
        {
            stats.template_removed();
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

/// What drop_entry may take: half-open connections always, established and stateless ones when idle_sampler, others never.
fn is_expendable<A: WorkerFamily>(
    connection: &Connection<A>,
    now_ms: u32,
    idle_sampler: &mut IdleSampler,
) -> bool {
    let mut is_aged = || {
        let idle = Duration::from_millis(connection.idle_ms(now_ms).into());
        idle_sampler.takes(connection.in_packets, idle)
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
