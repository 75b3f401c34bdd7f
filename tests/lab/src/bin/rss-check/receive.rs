//! The receiving side: DPDK drivers, used like in the director.

use super::flows::{self, From};
use super::judge::{Tally, Verdict};
use director::dpdk::{Device, Eal, EalOptions, Mempool, Port, PortQueue, PortSettings};
use director::io::{Burst, Frame, Queue};
use director::model::PortSide;
use director::packet::rss::Rule;
use director::time;
use director::worker::{
    stats::counters::QueueRssCounts,
    upkeep::rss_check::{QueueCheck, RssCheckResult, SETTLING},
};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const QUEUES: u16 = 2;
/// Mbufs for both queues' rings and the bursts in use.
const MBUFS: u32 = 4095;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Frames to check on each device
    #[arg(long, default_value_t = 4096)]
    frames: u64,
    /// Seconds to wait for them
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Memory of DPDK in MB
    #[arg(long, default_value_t = 64)]
    memory: u32,
    /// The devices' side, as in a port's configuration: clients, servers or both
    #[arg(long, default_value = "both", value_parser = side)]
    side: PortSide,
    /// DPDK's log level, as for its --log-level
    #[arg(long, default_value = "*:error")]
    log_level: String,
    /// Name, PCI address and the verdict to come: NAME=ADDRESS=VERDICT; verdicts are by-flow, by-client,
    /// refuted, software, one-queue
    #[arg(required = true)]
    devices: Vec<Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    name: String,
    address: String,
    expected: Verdict,
}

impl FromStr for Candidate {
    type Err = String;

    fn from_str(text: &str) -> Result<Candidate, String> {
        let parts: Vec<&str> = text.split('=').collect();
        let [name, address, expected] = parts[..] else {
            return Err("expected NAME=ADDRESS=VERDICT".to_owned());
        };
        let (name, address) = (name.to_owned(), address.to_owned());
        Ok(Candidate { name, address, expected: expected.parse()? })
    }
}

fn side(name: &str) -> Result<PortSide, String> {
    match name {
        "both" => Ok(PortSide::Both),
        "clients" => Ok(PortSide::Clients),
        "servers" => Ok(PortSide::Servers),
        _ => Err("expected both, clients or servers".to_owned()),
    }
}

/// Prints one line per device; true if each has the expected verdict.
///
/// # Errors
/// If DPDK or a device does not start.
pub fn run(arguments: &Arguments) -> Result<bool, String> {
    let core = core_affinity::get_core_ids().and_then(|cores| cores.first().copied());
    let options = EalOptions {
        worker_cores: vec![core.ok_or("no core found")?.id],
        memory_mb: Some(arguments.memory),
        allowed_devices: arguments.devices.iter().map(|device| device.address.clone()).collect(),
        file_prefix: format!("rss-check-{}", std::process::id()),
        log_level: arguments.log_level.clone(),
        ..EalOptions::default()
    };
    let eal = Eal::start(&options).map_err(|error| error.to_string())?;
    let pool = Mempool::new(&eal, "rss-check", MBUFS, None).map_err(|error| error.to_string())?;
    let mut as_expected = true;
    for candidate in &arguments.devices {
        let (verdict, line) = match examine(&eal, &pool, candidate, arguments) {
            Ok(found) => found,
            Err(sentence) => (Verdict::Silent, sentence),
        };
        let Candidate { name, expected, .. } = candidate;
        let surprise =
            if verdict == *expected { String::new() } else { format!(", {expected} expected") };
        println!("nic: {name}: {line}: {verdict}{surprise}");
        as_expected &= verdict == *expected;
    }
    Ok(as_expected)
}

fn examine(
    eal: &Eal,
    pool: &Arc<Mempool>,
    candidate: &Candidate,
    arguments: &Arguments,
) -> Result<(Verdict, String), String> {
    let told = |error: director::dpdk::Error| error.to_string();
    let device = Device::find(eal, &candidate.address).map_err(told)?;
    let driver = device.driver().map_err(told)?;
    let queues_max = device.queues_max().map_err(told)?;
    if queues_max < QUEUES {
        let line =
            format!("{driver}, {queues_max} queue at most, RSS none (nothing to spread over)");
        return Ok((Verdict::OneQueue, line));
    }
    let side = arguments.side;
    let settings =
        PortSettings { queues: QUEUES, promiscuous: true, side, ..PortSettings::default() };
    let (port, mut queues) = Port::start(device, &settings, &[Arc::clone(pool)]).map_err(told)?;
    let rule = port.rss().rule().map(Arc::new);
    let (tally, rss_check_result) = watch(&mut queues, rule.as_ref(), arguments);
    let (rss, by_client) = (port.rss(), port.by_client());
    let told = rule.is_some().then_some(by_client);
    let verdict = tally.verdict(told, rss_check_result.is_mismatch());
    let status = if rule.is_some() { format!("; {verification}") } else { String::new() };
    let way = if rule.is_some() { format!(" ({by_client})") } else { String::new() };
    let line =
        format!("{driver}, {QUEUES} of {queues_max} queues, RSS {rss}{way}, {tally}{status}");
    Ok((verdict, line))
}

/// Receives until enough frames of this test have arrived, or until the time limit.
fn watch(
    queues: &mut [PortQueue],
    rule: Option<&Arc<Rule>>,
    arguments: &Arguments,
) -> (Tally, RssCheckResult) {
    let mut tally = Tally::new(queues.len());
    let evidence: Vec<QueueRssCounts> = queues.iter().map(|_| QueueRssCounts::default()).collect();
    let mut checks: Vec<QueueCheck> = queues
        .iter()
        .map(|queue| QueueCheck::new(queue.index(), rule.cloned(), time::Instant::START))
        .collect();
    let start = Instant::now();
    let patience = Duration::from_secs(arguments.patience);
    let mut frames = 0;
    while frames < arguments.frames && start.elapsed() < patience {
        let now = time::Instant::START + start.elapsed();
        for (index, queue) in queues.iter_mut().enumerate() {
            let mut burst = Burst::new();
            queue.receive(&mut burst);
            if checks[index].is_due(now) {
                checks[index].look(&burst, &evidence[index]);
            }
            // Frames in flight when the table was written used the previous table.
            if start.elapsed() < SETTLING {
                continue;
            }
            for frame in &burst {
                let Some(sight) = flows::see(frame.bytes()) else { continue };
                if !is_faced(arguments.side, sight.from) {
                    continue;
                }
                let hash = rule.and_then(|rule| Some((rule, rule.hash_frame(frame.bytes())?)));
                let expected = hash.map(|(rule, hash)| (hash, rule.queue(hash)));
                tally.add(sight.kind, queue.index(), frame.rss_hash(), expected);
                tally.note_client(sight.client, sight.port, queue.index());
                frames += 1;
            }
        }
    }
    (tally, RssCheckResult::of(&evidence))
}

/// A port with side clients or servers must receive only frames of that side. Others are not counted.
fn is_faced(side: PortSide, from: From) -> bool {
    match side {
        PortSide::Both => true,
        PortSide::Clients => from == From::Client,
        PortSide::Servers => from == From::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_read() {
        let candidate: Candidate = "vmxnet3=0000:00:03.0=refuted".parse().unwrap();
        assert_eq!(candidate.address, "0000:00:03.0");
        assert_eq!(candidate.expected, Verdict::Refuted);
        for wrong in ["vmxnet3", "vmxnet3=0000:00:03.0", "a=b=c", "a=b=by-flow=d"] {
            assert!(wrong.parse::<Candidate>().is_err(), "{wrong}");
        }
    }
}
