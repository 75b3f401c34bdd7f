//! How each port places flows on workers, as the device told it.

use director::dpdk::Rss;
use director::worker::steer::Placement;
use std::sync::Arc;

/// Placement by the port's RSS, and a sentence on it for `directorctl status`.
pub(crate) fn placement(name: &str, rss: &Rss, workers: u16) -> (Placement, String) {
    if workers == 1 {
        return (Placement::Software, format!("{name}: one worker, nothing to steer"));
    }
    match rss.rule() {
        Some(rule) => (Placement::Rss(Arc::new(rule)), format!("{name}: RSS {rss}")),
        None => (Placement::Software, format!("{name}: software hash and hand-over; RSS {rss}")),
    }
}
