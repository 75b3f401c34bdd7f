//! The settings of a port, and how a device is configured with them: queues and MTU.

use super::mempool::DATA_ROOM;
use super::{Device, Error, Mempool, Result};
use crate::limits::MTU_MAX;
use crate::model::PortSide;
use dpdk_sys::rte_eth_dev_info;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a frame beyond the MTU: Ethernet header, one VLAN tag, frame check sequence.
const FRAME_OVERHEAD: u16 = 14 + 4 + 4;
/// The same without a tag: what DPDK adds to an MTU for a driver that does not say otherwise.
const UNTAGGED_OVERHEAD: u32 = 14 + 4;

// The configuration allows every MTU that the packet buffers can hold.
const _: () = assert!(MTU_MAX == DATA_ROOM - FRAME_OVERHEAD);

/// Attempts to set up a queue that the kernel has not released yet, and the pause between them.
const RELEASE_ATTEMPTS: u32 = 20;
const RELEASE_PAUSE: Duration = Duration::from_millis(100);

/// The settings of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSettings {
    /// Queue pairs, one per worker.
    pub queues: u16,
    /// Receive descriptors per queue, adjusted to the device's limits.
    pub rx_descriptors: u16,
    /// Transmit descriptors per queue, adjusted to the device's limits.
    pub tx_descriptors: u16,
    /// MTU: largest packet without its Ethernet header, in bytes. `None`: the device's own.
    pub mtu: Option<u16>,
    /// Receive frames for any MAC address.
    pub promiscuous: bool,
    /// Receive frames for any multicast address.
    pub all_multicast: bool,
    /// Every frame that the port sends comes from the same mempool. Only then may the device free sent mbufs without
    /// checking each one.
    pub one_mempool: bool,
    /// The side that the port connects. If it is only one side, the device hashes by client if it can.
    pub side: PortSide,
}

impl Default for PortSettings {
    fn default() -> Self {
        PortSettings {
            queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: None,
            promiscuous: false,
            all_multicast: true,
            one_mempool: false,
            side: PortSide::Both,
        }
    }
}

/// Checks that the device has enough queues and accepts the MTU. An error names what it allows.
pub(super) fn check(
    device: &Device,
    settings: &PortSettings,
    info: &rte_eth_dev_info,
    pools: &[Arc<Mempool>],
) -> Result<()> {
    let refuse = |what, asked: u16, allowed| {
        Err(Error::Setting { device: device.name().to_owned(), what, asked: asked.into(), allowed })
    };
    let queues_max = info.max_rx_queues.min(info.max_tx_queues);
    if settings.queues == 0 || settings.queues > queues_max {
        // Both drivers make one queue pair unless told otherwise.
        let hint = match device.driver().unwrap_or_default().as_str() {
            "net_af_packet" => "; each worker needs a queue: give qpairs=WORKERS in dpdk.vdevs",
            "net_af_xdp" => "; each worker needs a queue: give queue_count=WORKERS in dpdk.vdevs",
            _ => "",
        };
        return refuse("queues", settings.queues, format!("1 to {queues_max}{hint}"));
    }
    // A frame must fit one mbuf: the director drops those in several.
    let room = pools.iter().map(|pool| pool.data_room()).min().unwrap_or(0);
    let mtu_max =
        largest_mtu(info.max_mtu, info.max_rx_pktlen).min(room.saturating_sub(FRAME_OVERHEAD));
    match settings.mtu {
        Some(mtu) if mtu < info.min_mtu || mtu > mtu_max => {
            refuse("port.mtu", mtu, format!("{} to {mtu_max}", info.min_mtu))
        }
        _ => Ok(()),
    }
}

/// The largest MTU that DPDK takes for a device: it must not exceed `max_mtu`, and a frame with that MTU must not exceed
/// `max_frame`. A driver may leave out `max_mtu`, then only the frame counts.
fn largest_mtu(max_mtu: u16, max_frame: u32) -> u16 {
    let overhead = match max_frame.checked_sub(max_mtu.into()) {
        Some(overhead @ 1..) if max_mtu != u16::MAX => overhead,
        _ => UNTAGGED_OVERHEAD,
    };
    max_mtu.min(u16::try_from(max_frame.saturating_sub(overhead)).unwrap_or(u16::MAX))
}

/// Sets up the queues of a configured device, one pair per mempool. Returns the number of descriptors.
pub(super) fn queues(
    device: &Device,
    settings: &PortSettings,
    pools: &[Arc<Mempool>],
) -> Result<(u16, u16)> {
    let (mut rx, mut tx) = (settings.rx_descriptors, settings.tx_descriptors);
    // SAFETY: the port exists, and both numbers are ours.
    let outcome =
        unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(device.id(), &mut rx, &mut tx) };
    device.check(outcome, "descriptors")?;
    let socket = device.socket().unwrap_or(u32::MAX);
    for (queue, pool) in pools.iter().enumerate() {
        let queue = queue as u16;
        // SAFETY: the port is configured with that many queues; the pool outlives the port, which
        // holds it; null asks for the driver's default thresholds.
        let set_up = || unsafe {
            dpdk_sys::rte_eth_rx_queue_setup(
                device.id(),
                queue,
                rx,
                socket,
                ptr::null(),
                pool.as_ptr(),
            )
        };
        let outcome = match device.name().starts_with("net_af_xdp") {
            true => retry_until_released(device.name(), RELEASE_PAUSE, set_up),
            false => set_up(),
        };
        device.check(outcome, "receive queue")?;
        // SAFETY: as above.
        let outcome = unsafe {
            dpdk_sys::rte_eth_tx_queue_setup(device.id(), queue, tx, socket, ptr::null())
        };
        device.check(outcome, "transmit queue")?;
    }
    Ok((rx, tx))
}

/// Sets up a queue of AF_XDP. The kernel releases a queue some time after its process has ended. Until then the setup fails
/// with `EINVAL`, so it is repeated for two seconds.
fn retry_until_released(device: &str, pause: Duration, mut set_up: impl FnMut() -> i32) -> i32 {
    let mut outcome = set_up();
    for attempt in 1..RELEASE_ATTEMPTS {
        if outcome != -libc::EINVAL {
            break;
        }
        if attempt == 1 {
            log::warn!("{device}: a queue is still held by a process that has ended; trying again");
        }
        std::thread::sleep(pause);
        outcome = set_up();
    }
    outcome
}

/// The device's MTU in bytes.
pub(super) fn mtu(device: &Device) -> Result<u16> {
    let mut mtu = 0;
    // SAFETY: the port exists, and the number is ours.
    let outcome = unsafe { dpdk_sys::rte_eth_dev_get_mtu(device.id(), &mut mtu) };
    device.check(outcome, "mtu")?;
    Ok(mtu)
}

/// Sets the MTU. The configuration holds it already, but devices on a kernel interface need this call too.
pub(super) fn set_mtu(device: &Device, wanted: Option<u16>, old: u16) -> Result<()> {
    let Some(wanted) = wanted.filter(|mtu| *mtu != old) else { return Ok(()) };
    // SAFETY: the port exists and is stopped.
    let outcome = unsafe { dpdk_sys::rte_eth_dev_set_mtu(device.id(), wanted) };
    if outcome == -libc::ENOTSUP {
        return Ok(());
    }
    device.check(outcome, "mtu").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_mtu_follows_from_both_limits() {
        // (largest MTU, longest frame, what is allowed)
        let table = [
            (u16::MAX, 1518, 1500),
            (u16::MAX, u32::MAX, u16::MAX),
            (9000, 9022, 9000),
            (9000, 1518, 1500),
            (1500, 1500, 1482),
            (1500, 0, 0),
        ];
        for (max_mtu, max_frame, allowed) in table {
            assert_eq!(largest_mtu(max_mtu, max_frame), allowed, "{max_mtu}, {max_frame}");
        }
    }

    #[test]
    fn a_queue_that_is_still_held_is_set_up_again() {
        // (outcomes, the last of them, how often tried)
        let table: [(&[i32], i32, usize); 4] = [
            (&[0], 0, 1),
            (&[-libc::EINVAL, -libc::EINVAL, 0], 0, 3),
            (&[-libc::EINVAL, -libc::ENOMEM, 0], -libc::ENOMEM, 2),
            (&[-libc::EINVAL; 30], -libc::EINVAL, RELEASE_ATTEMPTS as usize),
        ];
        for (outcomes, last, tried) in table {
            let mut left = outcomes.iter();
            let set_up = || *left.next().expect("tried too often");
            assert_eq!(retry_until_released("net_af_xdp0", Duration::ZERO, set_up), last);
            assert_eq!(outcomes.len() - left.len(), tried);
        }
    }
}
