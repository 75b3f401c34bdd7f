//! The counters of a device.

use super::{Device, Result};
use std::ffi::CStr;
use std::ptr;

/// The counters every driver has, since the port was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortStatistics {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    /// Dropped by the device: its queue was full.
    pub rx_missed: u64,
    pub rx_errors: u64,
    /// Dropped because no mbuf was free.
    pub rx_no_mbuf: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub tx_errors: u64,
}

pub(super) fn basic(device: &Device) -> Result<PortStatistics> {
    let mut stats = dpdk_sys::rte_eth_stats::default();
    // SAFETY: the port exists, and the room is of the right type.
    let outcome = unsafe { dpdk_sys::rte_eth_stats_get(device.id(), &mut stats) };
    device.check(outcome, "statistics")?;
    Ok(PortStatistics {
        rx_packets: stats.ipackets,
        rx_bytes: stats.ibytes,
        rx_missed: stats.imissed,
        rx_errors: stats.ierrors,
        rx_no_mbuf: stats.rx_nombuf,
        tx_packets: stats.opackets,
        tx_bytes: stats.obytes,
        tx_errors: stats.oerrors,
    })
}

pub(super) fn extended(device: &Device) -> Result<Vec<(String, u64)>> {
    let id = device.id();
    // SAFETY: without room the call only counts.
    let count = unsafe { dpdk_sys::rte_eth_xstats_get_names(id, ptr::null_mut(), 0) };
    let room = device.check(count, "extended statistics")? as usize;
    let mut names = vec![dpdk_sys::rte_eth_xstat_name::default(); room];
    // SAFETY: `names` has room for `room` names.
    let named = unsafe { dpdk_sys::rte_eth_xstats_get_names(id, names.as_mut_ptr(), room as u32) };
    let named = device.check(named, "extended statistics")? as usize;
    let mut values = vec![dpdk_sys::rte_eth_xstat::default(); room];
    // SAFETY: `values` has room for `room` values.
    let valued = unsafe { dpdk_sys::rte_eth_xstats_get(id, values.as_mut_ptr(), room as u32) };
    let valued = device.check(valued, "extended statistics")? as usize;
    // A larger number than the room means that the number of counters grew in between.
    names.truncate(named);
    values.truncate(valued);
    let name_of = |id: u64| {
        let name = names.get(usize::try_from(id).ok()?)?;
        // SAFETY: DPDK ends every name with a NUL byte within its array.
        Some(unsafe { CStr::from_ptr(name.name.as_ptr()) }.to_string_lossy().into_owned())
    };
    Ok(values.iter().filter_map(|value| Some((name_of(value.id)?, value.value))).collect())
}
