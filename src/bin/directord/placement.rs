//! How each port places flows on workers, as the device told it.

use director::dpdk::{Rss, RssFunctions};
use director::worker::steer::Placement;

/// Placement by the port's RSS, and a sentence on it for `directorctl status`.
pub(crate) fn placement(name: &str, rss: &Rss, workers: u16) -> (Placement, String) {
    if workers == 1 {
        return (Placement::Software, format!("{name}: one worker, nothing to steer"));
    }
    match rss {
        Rss::Programmed { key, reta, functions } if hashes_ports(*functions) => (
            Placement::rss(key.clone(), reta.clone()),
            format!("{name}: RSS with the director's symmetric key, {} table entries", reta.len()),
        ),
        Rss::ReadBack { key, reta, functions } if hashes_ports(*functions) => (
            Placement::rss(key.clone(), reta.clone()),
            format!("{name}: RSS with the device's own key, {} table entries", reta.len()),
        ),
        Rss::Programmed { functions, .. } | Rss::ReadBack { functions, .. } => (
            Placement::Software,
            format!("{name}: software hash and hand-over: the device hashes only {functions:?}"),
        ),
        Rss::None { why } => {
            (Placement::Software, format!("{name}: software hash and hand-over: {why}"))
        }
    }
}

/// The device spreads TCP and UDP by their ports too, as the director's own computation does.
fn hashes_ports(functions: RssFunctions) -> bool {
    functions.contains(RssFunctions::IPV4_TCP | RssFunctions::IPV4_UDP)
}
