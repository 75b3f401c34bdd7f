//! An Ethernet device that DPDK has found and that is not configured yet.

use super::eal::Running;
use super::error::check;
use super::{Eal, Error, Result};
use crate::model::vdev_name;
use dpdk_sys::{RTE_MAX_ETHPORTS, rte_eth_dev_info};
use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Longest name of a device, its NUL byte included.
const NAME_MAX: usize = 64;

/// One device, claimed: a second [`Device::find`] of it fails until this one is dropped.
#[derive(Debug)]
pub struct Device {
    id: u16,
    name: String,
    running: Arc<Running>,
}

impl Device {
    /// Finds a device by PCI address (`0000:01:00.0`) or vdev name (`net_af_packet0`). Text after a comma is ignored, so
    /// the argument of `--vdev` is accepted.
    ///
    /// # Errors
    /// There is no such device (the error lists the existing ones), or it is claimed already.
    pub fn find(eal: &Eal, name: &str) -> Result<Device> {
        let name = vdev_name(name);
        let c_name = CString::new(name)
            .map_err(|_| Error::NulByte { what: "device", text: name.to_owned() })?;
        let mut id = 0;
        // SAFETY: a NUL-terminated name and room for a port number.
        let outcome = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) };
        if outcome != 0 {
            return Err(Error::NoDevice { device: name.to_owned(), why: why_missing(name) });
        }
        let running = eal.running();
        if !running.claimed.lock().insert(id) {
            return Err(Error::DeviceInUse { device: name.to_owned() });
        }
        Ok(Device { id, name: name.to_owned(), running })
    }

    /// Names of all devices DPDK has found.
    pub fn names(_eal: &Eal) -> Vec<String> {
        names()
    }

    /// DPDK's port number.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The name that it was found by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// NUMA node, if the machine has several and the device reports it.
    pub fn socket(&self) -> Option<u32> {
        // SAFETY: the port number is that of a device.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id) };
        u32::try_from(socket).ok()
    }

    /// Name of the driver: `net_i40e`, `net_af_packet`.
    ///
    /// # Errors
    /// The device is gone.
    pub fn driver(&self) -> Result<String> {
        let info = self.info()?;
        if info.driver_name.is_null() {
            return Ok(String::new());
        }
        // SAFETY: the driver's name is a static NUL-terminated string.
        Ok(unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned())
    }

    /// Largest number of queue pairs.
    ///
    /// # Errors
    /// The device is gone.
    pub fn queues_max(&self) -> Result<u16> {
        let info = self.info()?;
        Ok(info.max_rx_queues.min(info.max_tx_queues))
    }

    /// Its MAC address.
    ///
    /// # Errors
    /// The device is gone.
    pub fn hardware_address(&self) -> Result<[u8; 6]> {
        let mut address = dpdk_sys::rte_ether_addr::default();
        // SAFETY: the port number is that of a device, and the room is of the right type.
        let outcome = unsafe { dpdk_sys::rte_eth_macaddr_get(self.id, &mut address) };
        self.check(outcome, "hardware address")?;
        Ok(address.addr_bytes)
    }

    pub(super) fn info(&self) -> Result<rte_eth_dev_info> {
        let mut info = rte_eth_dev_info::default();
        // SAFETY: the port number is that of a device, and the room is of the right type.
        let outcome = unsafe { dpdk_sys::rte_eth_dev_info_get(self.id, &mut info) };
        self.check(outcome, "device information")?;
        Ok(info)
    }

    /// Turns a negative return value into an error that names device and call.
    pub(super) fn check(&self, outcome: i32, what: &str) -> Result<i32> {
        check(outcome, || format!("{what} of device {}", self.name))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.running.claimed.lock().remove(&self.id);
    }
}

fn names() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: any port number is allowed; the answer is the next one that exists.
    let mut id = unsafe { dpdk_sys::rte_eth_find_next(0) };
    while u32::from(id) < RTE_MAX_ETHPORTS {
        let mut name = [0 as c_char; NAME_MAX];
        // SAFETY: room for the longest name there is.
        if unsafe { dpdk_sys::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) } == 0 {
            // SAFETY: the call above has written a NUL-terminated name.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) };
            names.push(name.to_string_lossy().into_owned());
        }
        // SAFETY: as above.
        id = unsafe { dpdk_sys::rte_eth_find_next(id + 1) };
    }
    names
}

/// One sentence: why DPDK does not have the device, and the command that mends it.
fn why_missing(name: &str) -> String {
    if is_pci_address(name) {
        return why_pci_missing(name, Path::new("/sys/bus/pci/devices"));
    }
    let present = match names() {
        names if names.is_empty() => "no device at all".to_owned(),
        names => names.join(", "),
    };
    format!(
        "DPDK has {present}; name one of them, or add \"{name},...\" to dpdk.vdevs; if it is there, DPDK's own lines on standard \
         error tell which argument its driver refuses"
    )
}

fn why_pci_missing(address: &str, devices: &Path) -> String {
    let device = devices.join(address);
    if !device.exists() {
        return "there is no PCI device of that address; `lspci -D` lists what there is".to_owned();
    }
    let driver = fs::read_link(device.join("driver")).ok();
    let driver = driver.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    match driver {
        Some("vfio-pci" | "uio_pci_generic" | "igb_uio") => format!(
            "no driver of DPDK took it; see DPDK's own lines on standard error and \
             `lspci -nns {address}`"
        ),
        Some(driver) => format!(
            "the kernel's driver {driver} has it; run `dpdk-devbind.py --bind=vfio-pci {address}`"
        ),
        None => {
            format!("no driver has it; run `dpdk-devbind.py --bind=vfio-pci {address}`")
        }
    }
}

/// `domain:bus:device.function` or without the domain.
fn is_pci_address(name: &str) -> bool {
    let hex = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some((place, function)) = name.rsplit_once('.') else { return false };
    let parts: Vec<&str> = place.split(':').collect();
    hex(function) && (2..=3).contains(&parts.len()) && parts.into_iter().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_are_told_from_names() {
        for address in ["0000:01:00.0", "01:00.1", "0000:af:1f.7"] {
            assert!(is_pci_address(address), "{address}");
        }
        for name in ["net_ring0", "net_tap0", "0000", "", "a.b", "::.0", "net:x.0"] {
            assert!(!is_pci_address(name), "{name}");
        }
    }

    #[test]
    fn a_missing_pci_device_gets_the_right_command() {
        let folder = tempfile::tempdir().unwrap();
        let devices = folder.path();
        for (address, driver) in [("0000:01:00.0", "ixgbe"), ("0000:01:00.1", "vfio-pci")] {
            fs::create_dir(devices.join(address)).unwrap();
            let link = devices.join(address).join("driver");
            std::os::unix::fs::symlink(format!("../drivers/{driver}"), link).unwrap();
        }
        fs::create_dir(devices.join("0000:01:00.2")).unwrap();
        let cases = [
            ("0000:01:00.0", "driver ixgbe has it; run `dpdk-devbind.py --bind=vfio-pci"),
            ("0000:01:00.1", "no driver of DPDK took it"),
            ("0000:01:00.2", "no driver has it"),
            ("0000:01:00.3", "`lspci -D`"),
        ];
        for (address, sentence) in cases {
            let why = why_pci_missing(address, devices);
            assert!(why.contains(sentence), "{address}: {why}");
        }
    }
}
