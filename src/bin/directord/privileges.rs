//! Gives up the capabilities that were needed for the start only.
//!
//! The kernel keeps them for each thread. Those of DPDK exist by then, and each gives up its own: the workers' and the one for
//! interrupts. Threads that the main thread makes later begin with what it has kept.

use crate::AnyError;
use director::config::Config;
use director::dpdk::Eal;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io;
use std::sync::mpsc;
use std::time::Duration;

/// Longest wait for the interrupt thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// What every director needs while it runs.
///
/// * `NET_ADMIN`: addresses and links of kernel interfaces, and the end of AF_XDP and TAP devices.
/// * `NET_RAW`: raw sockets, and what drivers of shared devices do.
/// * `IPC_LOCK`: packet memory that DPDK adds later is locked.
/// * `DAC_OVERRIDE`: the configuration file is read again, and the control socket made again, in folders of other users.
const ALWAYS: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::DAC_OVERRIDE);

/// AF_XDP takes its program off the interface at the end: it looks for it among all programs.
const AF_XDP: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::PERFMON).union(CapabilitySet::SYS_ADMIN);

/// Without an IOMMU a device needs the physical addresses of memory that DPDK adds later.
const PCI: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// Gives up, in all threads so far, what a running director does not need. It runs on with more if that fails.
pub(crate) fn give_up(eal: &Eal, config: &Config) {
    match give_up_everywhere(eal, needed(config)) {
        Ok(remaining) => log::info!("capabilities that remain: {}", names(remaining)),
        Err(error) => log::warn!("capabilities cannot be given up: {error}"),
    }
}

fn give_up_everywhere(eal: &Eal, needed: CapabilitySet) -> Result<CapabilitySet, AnyError> {
    let (sender, outcome) = mpsc::channel();
    eal.on_interrupt_thread(move || {
        // Nobody waits for it any more if it comes too late.
        let _ = sender.send(reduce(needed));
    })?;
    outcome.recv_timeout(PATIENCE)??;
    for worker in eal.workers() {
        worker
            .launch(move || reduce(needed))?
            .join()
            .map_err(|_| "a worker ended by a panic")??;
    }
    Ok(reduce(needed)?)
}

/// The capabilities that a running director with these devices needs.
fn needed(config: &Config) -> CapabilitySet {
    config.ports.iter().fold(ALWAYS, |needed, port| {
        if port.device.starts_with("net_af_xdp") {
            needed | AF_XDP
        } else if port.device.starts_with("net_") {
            needed
        } else {
            needed | PCI
        }
    })
}

/// Gives up what this thread has beyond `needed`; returns what remains.
///
/// # Errors
/// The kernel refuses.
fn reduce(needed: CapabilitySet) -> io::Result<CapabilitySet> {
    let mut sets = capabilities(None)?;
    sets.effective &= needed;
    sets.permitted &= needed;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets)?;
    Ok(sets.effective)
}

/// The names of capabilities, as in capabilities(7).
fn names(set: CapabilitySet) -> String {
    let names: Vec<_> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, thread};

    fn needs(device: &str) -> String {
        let vdevs = if device.starts_with("net_") { device } else { "net_null9" };
        let text = format!(
            "[dpdk]\nvdevs = [\"{vdevs}\"]\n[[port]]\nname = \"a\"\ndevice = \"{device}\"\n"
        );
        names(needed(&Config::parse(&text, "f").unwrap()))
    }

    #[test]
    fn devices_decide_what_is_needed() {
        let always = "CAP_DAC_OVERRIDE CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK";
        assert_eq!(needs("net_af_packet0"), always);
        assert_eq!(needs("0000:01:00.0"), format!("{always} CAP_SYS_ADMIN"));
        let af_xdp = format!("{always} CAP_SYS_ADMIN CAP_PERFMON CAP_BPF");
        assert_eq!(needs("net_af_xdp0"), af_xdp);
    }

    /// The unit grants what the start needs. What remains afterwards is part of it, except for files of other users.
    #[test]
    fn the_unit_grants_what_remains() {
        let unit =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/director.service"))
                .unwrap();
        let granted =
            unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
        let granted: Vec<_> = granted.split(' ').collect();
        let all = ALWAYS.difference(CapabilitySet::DAC_OVERRIDE) | AF_XDP | PCI;
        for name in names(all).split(' ') {
            assert!(granted.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_is_not_needed_is_given_up_for_the_thread() {
        let before = capabilities(None).unwrap().effective;
        let thread = thread::spawn(|| {
            let remaining = reduce(CapabilitySet::NET_RAW).unwrap();
            (remaining, capabilities(None).unwrap())
        });
        let (remaining, sets) = thread.join().unwrap();
        assert_eq!(remaining, before & CapabilitySet::NET_RAW);
        assert_eq!(
            (sets.effective, sets.permitted.difference(CapabilitySet::NET_RAW)),
            (remaining, CapabilitySet::empty())
        );
        assert_eq!(capabilities(None).unwrap().effective, before, "other threads keep theirs");
        assert_eq!(names(CapabilitySet::empty()), "none");
    }
}
