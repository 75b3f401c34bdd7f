//! The command line tools as users run them: the real binaries against a control socket. Every ipvsadm command of the
//! recorded transcripts must print what the real ipvsadm printed, for wrong command lines too.

mod control_socket;
mod golden;
mod ipvsadm;
mod model;
#[path = "../support/nameless.rs"]
mod nameless;
mod questions;
mod usage;
