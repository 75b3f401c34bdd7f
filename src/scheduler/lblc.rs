//! lblc: locality-based least connection, for clusters of transparent caches. A destination address keeps its server. If
//! that server is overloaded while another is less than half loaded, wlc picks a new one.

use super::candidate::{Candidate, Flow, Load};
use super::cursor::Cursor;
use super::locality::{Locality, Server, busy};
use super::wlc;
use crate::time::Instant;

pub(super) fn pick(
    locality: &Locality<Server>,
    candidates: &[Candidate],
    cursor: &Cursor,
    load: &impl Load,
    flow: &Flow,
    now: Instant,
) -> Option<usize> {
    let Some(mut bucket) = locality.bucket(flow.destination) else {
        return wlc::pick(candidates, cursor, load);
    };
    let known = bucket.entry().and_then(|entry| {
        entry.used = now;
        locality.place(entry.value)
    });
    drop(bucket);
    // As in the kernel, the threshold of a cached server is not checked.
    let usable = |index: &usize| candidates[*index].weight > 0 && !busy(candidates, load, *index);
    if let Some(index) = known.filter(usable) {
        return Some(index);
    }
    let index = wlc::pick(candidates, cursor, load)?;
    if let Some(mut bucket) = locality.bucket(flow.destination) {
        let server = locality.server(index);
        match bucket.entry() {
            Some(entry) => entry.value = server,
            None => bucket.insert(server, now),
        }
    }
    Some(index)
}
