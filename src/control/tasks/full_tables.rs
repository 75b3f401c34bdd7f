//! Logs that packets are dropped because a table is full.

use super::SECOND;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use crate::worker::Shared;

/// The drops, and the settings that make room.
const TABLES: [(DropReason, &str); 2] = [
    (DropReason::ConnectionTableFull, "tables.connections or tables.connections_ipv6"),
    (DropReason::TemplateTableFull, "tables.templates"),
];

/// Shortest time between two lines about one table.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct FullTables {
    /// By table: the drops when it was logged last, and the time.
    logged: [(u64, Option<Instant>); TABLES.len()],
}

impl FullTables {
    /// `drops` are those since the start, by table.
    fn lines(&mut self, drops: [u64; TABLES.len()], now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for ((logged, total), (reason, setting)) in self.logged.iter_mut().zip(drops).zip(TABLES) {
            let (before, at) = *logged;
            let is_due = at.is_none_or(|at| now.since(at) >= LOG_INTERVAL);
            if total > before && is_due {
                *logged = (total, Some(now));
                lines.push(format!(
                    "{} packets were dropped ({}): {} Raise {setting} and restart",
                    total - before,
                    reason.name(),
                    reason.help()
                ));
            }
        }
        lines
    }
}

impl<F: Frame> Task<F> for FullTables {
    fn name(&self) -> &'static str {
        "full tables"
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let drops = TABLES.map(|(reason, _)| dropped(&context.state.shared, reason));
        self.lines(drops, context.now).iter().for_each(|line| log::warn!("{line}"));
        Some(context.now + SECOND)
    }
}

/// Over all workers and ports.
fn dropped(shared: &Shared, reason: DropReason) -> u64 {
    let queues = shared.counters.iter().flat_map(|worker| worker.queues.iter());
    queues.map(|queue| queue.drop_of(reason).get()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_is_logged_once_a_minute() {
        let mut task = FullTables::default();
        let at = Instant::from_secs;
        assert_eq!(task.lines([0, 0], at(1)), [""; 0]);
        let first = task.lines([5, 0], at(2));
        assert_eq!(
            first,
            [
                "5 packets were dropped (connection-table-full): The worker's connection table has no free entry. \
              Raise tables.connections or tables.connections_ipv6 and restart"
            ]
        );
        assert_eq!(task.lines([9, 0], at(61)), [""; 0]);
        let second = task.lines([9, 2], at(62));
        assert!(second[0].starts_with("4 packets were dropped (connection"), "{second:?}");
        assert!(second[1].starts_with("2 packets were dropped (template"), "{second:?}");
        assert_eq!(task.lines([9, 2], at(200)), [""; 0]);
    }
}
