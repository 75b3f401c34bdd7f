//! The command line tools as users run them: the real binaries against a control socket, and every
//! ipvsadm command of the recorded transcripts against what the real one printed; what it said about
//! wrong command lines.

mod control_socket;
mod golden;
mod ipvsadm;
mod model;
#[path = "../support/nameless.rs"]
mod nameless;
mod questions;
mod usage;
