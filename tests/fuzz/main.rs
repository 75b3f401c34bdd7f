//! Fuzz targets: one file each, one or more tests in it. `cargo test` gives every target a short run with random
//! input and everything in its corpus; `scripts/fuzz` runs one for as long as asked.
//!
//! * `recipe`: frames that get past the first check, whole or damaged; `oracle`: checksums the slow way
//! * `frames`, `rewriting`, `neighbours`: bytes to packets, and packets changed in place
//! * `fragments`, `workers`: the real workers over memory ports; `host`: the control thread's answers
//! * `schedulers`: edits and picks; `ipvsadm`, `config`, `protocol`: text from outside; `server`: the
//!   control socket's sessions

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

/// How long each target runs under `cargo test`; `BOLERO_RANDOM_TEST_TIME_MS` says otherwise.
const SHORT: Duration = Duration::from_millis(1500);
