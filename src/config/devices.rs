//! What fails at start although each key is valid alone: devices with fewer queue pairs than there are workers, and devices
//! that cannot share packet buffers.

use super::dpdk::DpdkConfig;
use super::report::Report;
use toml::Spanned;

/// Drivers that make one queue pair unless an argument asks for more, and that argument.
const ONE_QUEUE_DRIVERS: [(&str, &str); 2] =
    [("net_af_packet", "qpairs"), ("net_af_xdp", "queue_count")];

const AF_XDP: &str = "net_af_xdp";

/// Checks a port's device. `others` are the names and devices of the ports before it.
pub(super) fn check<'p>(
    device: &Spanned<String>,
    mut others: impl Iterator<Item = (&'p str, &'p str)>,
    dpdk: &DpdkConfig,
    report: &mut Report,
) {
    const KEY: &str = "port.device";
    let name = device.get_ref();
    let offset = device.span().start;
    if let Some((argument, queues)) = queue_pairs(name, dpdk)
        && usize::from(queues) < dpdk.workers
    {
        let problem = format!(
            "{name} has {queues} of the {} queue pairs that dpdk.workers needs",
            dpdk.workers
        );
        let allowed = format!("{argument}={} in its dpdk.vdevs", dpdk.workers);
        report.fault_allowed(offset, KEY, problem, allowed);
    }
    // AF_XDP needs packet buffers without gaps between pages, and a device with DMA needs them within pages.
    let cannot_share = |one: &str, other: &str| one.starts_with(AF_XDP) && !is_virtual(other);
    if dpdk.no_huge
        && let Some((port, other)) =
            others.find(|(_, other)| cannot_share(name, other) || cannot_share(other, name))
    {
        let problem = format!(
            "{name} and {other} of port {port} cannot share packet buffers without hugepages"
        );
        report.fault_allowed(offset, KEY, problem, "dpdk.no_huge = false, or devices of one kind");
    }
}

fn is_virtual(device: &str) -> bool {
    device.starts_with("net_")
}

/// The argument for queue pairs of a device in `dpdk.vdevs`, and its value. `None`: the driver makes as many as it is asked
/// for. `None` too if the value is not a number: DPDK refuses it.
fn queue_pairs(device: &str, dpdk: &DpdkConfig) -> Option<(&'static str, u16)> {
    let (_, argument) = ONE_QUEUE_DRIVERS.iter().find(|(driver, _)| device.starts_with(driver))?;
    let mut given = dpdk.vdev(device)?.split(',').filter_map(|part| part.split_once('='));
    match given.find(|(key, _)| key == argument) {
        Some((_, value)) => Some((argument, value.parse().ok()?)),
        None => Some((argument, 1)),
    }
}
