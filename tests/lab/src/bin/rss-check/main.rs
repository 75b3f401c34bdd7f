//! Does a NIC spread frames over its queues as DPDK says it does? One side sends flows of every kind for ever, the other
//! receives them on two queues and compares each frame's queue and hash with the software's.

mod flows;
mod judge;
mod receive;
mod send;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Check that NICs place frames by the RSS key and table DPDK tells
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
    /// Receive them on DPDK devices and judge each device in a line
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
