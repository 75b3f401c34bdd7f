//! Names and lists by which DPDK and the kernel describe a machine.

use std::collections::BTreeSet;

/// The device of a `--vdev` argument: `net_tap0` of `net_tap0,iface=k0`.
pub fn vdev_name(vdev: &str) -> &str {
    vdev.split(',').next().unwrap_or_default()
}

/// The kernel interface that a virtual device of the drivers af_packet and af_xdp works on. `vdev`: its `--vdev` argument.
pub fn kernel_interface(vdev: &str) -> Option<&str> {
    let (name, arguments) = vdev.split_once(',')?;
    let on_interface = ["net_af_packet", "eth_af_packet", "net_af_xdp"];
    on_interface.iter().find(|driver| name.starts_with(**driver))?;
    arguments.split(',').find_map(|pair| pair.strip_prefix("iface="))
}

/// The PCI address with its domain; `None` for a virtual device. As in DPDK, an address without a domain is in domain 0.
pub fn pci_address(device: &str) -> Option<String> {
    match device.matches(':').count() {
        0 => None,
        1 => Some(format!("0000:{device}")),
        _ => Some(device.to_owned()),
    }
}

/// The CPUs of a list of the kernel, as `2-5,8`.
pub fn cpu_list(list: &str) -> BTreeSet<usize> {
    list.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpu_list("2-4,8\n"), BTreeSet::from([2, 3, 4, 8]));
        assert_eq!(cpu_list("\n"), BTreeSet::new());
        assert_eq!(cpu_list(""), BTreeSet::new());
    }

    #[test]
    fn devices_by_their_names() {
        assert_eq!(vdev_name("net_tap0,iface=k0"), "net_tap0");
        assert_eq!(pci_address("ff:1f.7").as_deref(), Some("0000:ff:1f.7"));
        assert_eq!(pci_address("0001:01:00.0").as_deref(), Some("0001:01:00.0"));
        assert_eq!(pci_address("net_tap0"), None);
    }
}
