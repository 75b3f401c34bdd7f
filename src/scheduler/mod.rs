//! Scheduling: picks a destination for a new connection, as IPVS's schedulers do.
//!
//! A [`Scheduler`] is immutable and shared by all workers. It holds the list of candidates in the kernel's order (newest
//! first) and what the algorithm precomputes from it. An edit creates a new scheduler that keeps the state that the kernel
//! keeps. The state between two picks is in the worker's own [`Cursor`]; only lblc and lblcr have a cache that all workers
//! share. A pick never waits and never allocates.
//!
//! With one worker every pick equals the kernel's. With several workers, each walks the same order from its own starting
//! point.

mod cache;
mod candidate;
mod cursor;
mod dh;
mod fo;
mod hash;
mod history;
mod lblc;
mod lblcr;
mod lc;
mod least;
mod locality;
mod mh;
mod nq;
mod ovf;
mod rr;
mod sed;
mod sh;
mod twos;
mod wlc;
mod wrr;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sequences;

pub use candidate::{Candidate, Change, Flow, Load};
pub use cursor::Cursor;

use crate::model::{DestinationId, SchedulerFlags, SchedulerKind};
use crate::time::Instant;
use std::collections::HashMap;
use std::sync::Arc;

/// The scheduler of one service with its list of destinations.
#[derive(Clone, Debug)]
pub struct Scheduler {
    kind: SchedulerKind,
    flags: SchedulerFlags,
    /// Newest first.
    candidates: Arc<[Candidate]>,
    /// By candidate: its weight, or its last weight above 0 while it is quiesced. Used by mh.
    lasting: Arc<[u32]>,
    algorithm: Algorithm,
}

#[derive(Clone, Debug)]
enum Algorithm {
    None,
    Rr(rr::RoundRobin),
    Wrr(wrr::WeightedRoundRobin),
    Lc,
    Wlc,
    Sed,
    Nq,
    Fo,
    Ovf,
    Dh,
    Sh(sh::SourceHashing),
    Mh(mh::Maglev),
    Lblc(locality::Locality<locality::Server>),
    Lblcr(locality::Locality<lblcr::ServerSet>),
    Twos,
}

impl Algorithm {
    fn new(kind: SchedulerKind, candidates: &[Candidate], lasting: &[u32]) -> Self {
        match kind {
            SchedulerKind::None => Algorithm::None,
            SchedulerKind::Rr => Algorithm::Rr(rr::RoundRobin::new()),
            SchedulerKind::Wrr => Algorithm::Wrr(wrr::WeightedRoundRobin::new(candidates)),
            SchedulerKind::Lc => Algorithm::Lc,
            SchedulerKind::Wlc => Algorithm::Wlc,
            SchedulerKind::Sed => Algorithm::Sed,
            SchedulerKind::Nq => Algorithm::Nq,
            SchedulerKind::Fo => Algorithm::Fo,
            SchedulerKind::Ovf => Algorithm::Ovf,
            SchedulerKind::Dh => Algorithm::Dh,
            SchedulerKind::Sh => Algorithm::Sh(sh::SourceHashing::new(candidates)),
            SchedulerKind::Mh => Algorithm::Mh(mh::Maglev::new(candidates, lasting)),
            SchedulerKind::Lblc => Algorithm::Lblc(locality::Locality::new(candidates)),
            SchedulerKind::Lblcr => Algorithm::Lblcr(locality::Locality::new(candidates)),
            SchedulerKind::Twos => Algorithm::Twos,
        }
    }
}

impl Scheduler {
    /// A scheduler that has not picked yet. `candidates` are newest first.
    pub fn new(
        kind: SchedulerKind,
        flags: SchedulerFlags,
        candidates: impl Into<Arc<[Candidate]>>,
    ) -> Self {
        let candidates = candidates.into();
        let lasting: Arc<[u32]> = candidates.iter().map(|candidate| candidate.weight).collect();
        let algorithm = Algorithm::new(kind, &candidates, &lasting);
        Scheduler { kind, flags, candidates, lasting, algorithm }
    }

    /// The scheduler after one edit of the list. `candidates`: the list after the edit. Cursors, tables and caches survive
    /// as in the kernel.
    pub fn changed(&self, candidates: impl Into<Arc<[Candidate]>>, change: Change) -> Self {
        let candidates = candidates.into();
        let lasting = self.lasting_after(&candidates, change);
        let algorithm = match &self.algorithm {
            Algorithm::Rr(rr) => Algorithm::Rr(match self.motion(&candidates, change) {
                Some(motion) => rr.moved(motion),
                None => rr.clone(),
            }),
            Algorithm::Wrr(wrr) => Algorithm::Wrr(wrr.changed(&candidates)),
            Algorithm::Sh(_) => Algorithm::Sh(sh::SourceHashing::new(&candidates)),
            Algorithm::Mh(mh) => Algorithm::Mh(mh.changed(&self.candidates, &candidates, &lasting)),
            Algorithm::Lblc(locality) => Algorithm::Lblc(locality.changed(&candidates)),
            Algorithm::Lblcr(locality) => Algorithm::Lblcr(locality.changed(&candidates)),
            stateless => stateless.clone(),
        };
        Scheduler { kind: self.kind, flags: self.flags, candidates, lasting, algorithm }
    }

    /// The same scheduler with other flags: an edit of the service that names the scheduler it
    /// already has.
    pub fn with_flags(&self, flags: SchedulerFlags) -> Self {
        Scheduler { flags, ..self.clone() }
    }

    /// The scheduler after an edit of the service. If `kind` changes, only the last weights of quiesced destinations are
    /// kept. If it stays, the scheduler continues unchanged.
    pub fn with_kind(&self, kind: SchedulerKind, flags: SchedulerFlags) -> Self {
        if kind == self.kind {
            return self.with_flags(flags);
        }
        let algorithm = Algorithm::new(kind, &self.candidates, &self.lasting);
        Scheduler { kind, flags, algorithm, ..self.clone() }
    }

    pub fn kind(&self) -> SchedulerKind {
        self.kind
    }

    pub fn flags(&self) -> SchedulerFlags {
        self.flags
    }

    /// Newest first.
    #[inline]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Picks the candidate for a new connection. Returns its index, or `None` if no candidate may get it. Takes time at
    /// most proportional to the length of the list. Never waits, never allocates.
    #[inline]
    pub fn pick(
        &self,
        cursor: &mut Cursor,
        load: &impl Load,
        flow: &Flow,
        now: Instant,
    ) -> Option<usize> {
        let candidates = &*self.candidates;
        match &self.algorithm {
            Algorithm::None => None,
            Algorithm::Rr(rr) => rr.pick(candidates, cursor, load),
            Algorithm::Wrr(wrr) => wrr.pick(candidates, cursor, load),
            Algorithm::Lc => lc::pick(candidates, cursor, load),
            Algorithm::Wlc => wlc::pick(candidates, cursor, load),
            Algorithm::Sed => sed::pick(candidates, cursor, load),
            Algorithm::Nq => nq::pick(candidates, cursor, load),
            Algorithm::Fo => fo::pick(candidates, load),
            Algorithm::Ovf => ovf::pick(candidates, load),
            Algorithm::Dh => dh::pick(candidates, load, flow),
            Algorithm::Sh(sh) => sh.pick(candidates, self.flags, load, flow),
            Algorithm::Mh(mh) => mh.pick(candidates, self.flags, load, flow),
            Algorithm::Lblc(locality) => lblc::pick(locality, candidates, cursor, load, flow, now),
            Algorithm::Lblcr(locality) => {
                lblcr::pick(locality, candidates, cursor, load, flow, now)
            }
            Algorithm::Twos => twos::pick(candidates, cursor, load),
        }
    }

    /// Garbage collection of the caches of lblc and lblcr: the control thread calls it every second
    /// with the sysctl `lblc_expiration` or `lblcr_expiration`. The other schedulers have nothing
    /// to collect.
    pub fn collect(&self, now: Instant, expiration_s: u32) {
        match &self.algorithm {
            Algorithm::Lblc(locality) => locality.collect(now, expiration_s),
            Algorithm::Lblcr(locality) => locality.collect(now, expiration_s),
            _ => {}
        }
    }

    /// How an edit moves positions in the list. `None` if they stay.
    fn motion(&self, candidates: &[Candidate], change: Change) -> Option<rr::Motion> {
        let place = |list: &[Candidate], id| {
            list.iter().position(|candidate| candidate.id == id).map(|index| index as u32)
        };
        match change {
            Change::Added(id) => place(candidates, id).map(rr::Motion::Inserted),
            Change::Removed(id) => place(&self.candidates, id).map(rr::Motion::Removed),
            Change::Edited(_) => None,
        }
    }

    /// The weights that mh uses after an edit. After an edit to 0 the last weight stays in force. A destination that is
    /// added with weight 0 has none.
    fn lasting_after(&self, candidates: &[Candidate], change: Change) -> Arc<[u32]> {
        let lasting: HashMap<DestinationId, u32> = self
            .candidates
            .iter()
            .zip(self.lasting.iter())
            .filter(|(before, _)| before.weight == 0 || change == Change::Edited(before.id))
            .map(|(before, &lasting)| (before.id, lasting))
            .collect();
        let weight = |candidate: &Candidate| match candidate.weight {
            0 if change != Change::Added(candidate.id) => {
                lasting.get(&candidate.id).copied().unwrap_or(0)
            }
            weight => weight,
        };
        candidates.iter().map(weight).collect()
    }
}
