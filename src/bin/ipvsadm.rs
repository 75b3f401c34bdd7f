//! ipvsadm for this director: the same commands, listings, messages and exit statuses.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use director::cli::{ipvsadm, socket_path};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut director = ipvsadm::LazyClient::new(socket_path());
    let mut streams = ipvsadm::Streams {
        input: &mut io::stdin().lock(),
        output: &mut io::BufWriter::new(io::stdout().lock()),
        errors: &mut io::stderr().lock(),
    };
    ipvsadm::run(&words, &ipvsadm::SystemNames::default(), &mut director, &mut streams).into()
}
