//! Taking out persistence templates whose time is over or that nobody wants any more.

use crate::conn::template::{Cursor, Template};
use crate::model::DestinationId;
use crate::service::Snapshot;
use crate::time::Instant;
use crate::worker::Shared;

/// Looks at `budget` templates from `cursor` on: out go those that have ended, and of those that control nothing the
/// `unwanted` ones. Their destinations' counts follow, on control's own ledger.
pub fn sweep(
    shared: &Shared,
    cursor: &mut Cursor,
    budget: usize,
    now: Instant,
    unwanted: impl FnMut(&Template) -> bool,
) {
    let own = shared.ledgers.last();
    shared.templates.sweep(cursor, budget, now, unwanted, |template| {
        let id = DestinationId(template.destination);
        if let Some(line) = own.and_then(|ledger| ledger.get(id)) {
            line.unbind_template();
        }
    });
}

/// With `expire_nodest_conn`: out go all templates of removed destinations that control nothing. Those that do go
/// with the last of their connections, by the worker's hand.
pub fn sweep_removed(shared: &Shared, world: &Snapshot, now: Instant) {
    let is_removed = |template: &Template| {
        let destination = world.destinations.get(template.destination as usize);
        destination.is_some_and(|destination| !destination.available)
    };
    sweep(shared, &mut Cursor::default(), shared.templates.capacity(), now, is_removed);
}
