//! Checks that a NIC spreads frames over its queues as DPDK reports. One side sends flows of every kind endlessly; the
//! other receives them on two queues and compares each frame's queue and hash with software.

mod flows;
mod judge;
mod receive;
mod send;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Check that NICs place frames by the RSS key and table that DPDK reports
#[derive(Debug, Parser)]
#[command(name = "rss-check")]
struct Arguments {
    #[command(subcommand)]
    side: Side,
}

#[derive(Debug, Subcommand)]
enum Side {
    /// Send flows of every kind to kernel interfaces until stopped
    Send(send::Arguments),
    /// Receive them on DPDK devices and print a verdict for each device
    Receive(receive::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().side {
        Side::Send(arguments) => send::run(&arguments).map(|never| match never {}),
        Side::Receive(arguments) => receive::run(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            eprintln!("rss-check: {sentence}");
            ExitCode::from(2)
        }
    }
}
