//! Fuzz targets. `cargo test` runs each for a short time on random input and on its corpus; `scripts/fuzz` runs one for
//! longer.
//!
//! * `recipe`: builds frames that pass the first checks, intact or damaged; `oracle`: slow, simple checksums
//! * `frames`, `rewriting`, `neighbours`: parsers, and packets changed in place
//! * `fragments`, `workers`: the real workers over memory ports; `host`: the IP host on the control thread
//! * `schedulers`: edits and picks; `ipvsadm`, `config`, `protocol`: text input; `server`: the control socket

#[path = "../support/mod.rs"]
mod support;

mod farm;
mod oracle;
mod recipe;

mod config;
mod fragments;
mod frames;
mod host;
mod ipvsadm;
#[path = "../support/nameless.rs"]
mod nameless;
mod neighbours;
mod protocol;
mod rewriting;
mod schedulers;
mod server;
mod workers;

use std::time::Duration;

/// Run time of each target under `cargo test`, unless `BOLERO_RANDOM_TEST_TIME_MS` is set.
const SHORT: Duration = Duration::from_millis(1500);
