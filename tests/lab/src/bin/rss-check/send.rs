//! The sending side: kernel interfaces connected to the NICs under test.

use super::flows;
use director::model::MacAddress;
use director_lab::wire::Wire;
use std::convert::Infallible;
use std::io;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

/// Frames sent between two clock readings.
const BATCH: usize = 8;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Frames a second on each interface
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Flows of each kind
    #[arg(long, default_value_t = 512)]
    flows: u16,
    /// Interface and the MAC address behind it: INTERFACE=MAC
    #[arg(required = true)]
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    interface: String,
    mac: [u8; 6],
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (interface, mac) = text.split_once('=').ok_or("expected INTERFACE=MAC")?;
        let mac = mac.parse::<MacAddress>().map_err(|error| error.to_string())?;
        Ok(Target { interface: interface.to_owned(), mac: mac.0 })
    }
}

/// Sends until the process is stopped.
///
/// # Errors
/// If an interface does not exist or is removed.
pub fn run(arguments: &Arguments) -> Result<Infallible, String> {
    let mut wires = Vec::new();
    for target in &arguments.targets {
        let frames = flows::frames(target.mac, arguments.flows);
        wires.push((target, Wire::open(&target.interface)?, frames));
    }
    let pause = Duration::from_secs(1) * BATCH as u32 / arguments.rate.max(1);
    let mut due = Instant::now();
    let mut next = 0;
    loop {
        for (target, wire, frames) in &mut wires {
            for number in next..next + BATCH {
                let outcome = wire.send(&frames[number % frames.len()]);
                outcome
                    .or_else(forgive)
                    .map_err(|error| format!("{}: {error}", target.interface))?;
            }
        }
        next += BATCH;
        due = (due + pause).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// A full queue loses the frame, as a wire does.
fn forgive(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::EAGAIN) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let target: Target = "tap0=52:54:00:00:00:01".parse().unwrap();
        assert_eq!((target.interface.as_str(), target.mac[5]), ("tap0", 1));
        assert!("tap0".parse::<Target>().is_err());
        assert!("tap0=1:2".parse::<Target>().is_err());
    }
}
