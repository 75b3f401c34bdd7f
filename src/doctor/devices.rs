//! Network cards: present, given to DPDK, behind an IOMMU, near the workers.

use super::{Findings, Machine};
use crate::config::Config;
use crate::model::pci_address;

/// Drivers of the kernel that share their card with DPDK.
const SHARING: [&str; 2] = ["mlx4_core", "mlx5_core"];
/// Drivers that hold a card for DPDK.
const FOR_DPDK: [&str; 3] = ["vfio-pci", "igb_uio", "uio_pci_generic"];

pub(super) fn look(config: &Config, machine: &Machine, findings: &mut Findings) {
    for port in &config.ports {
        let Some(device) = pci_address(&port.device) else { continue };
        let folder = format!("sys/bus/pci/devices/{device}");
        let name = &port.name;
        if !machine.has(&folder) {
            findings.error(
                format!("port {name}: there is no PCI device {device}"),
                "director-host-setup show lists the network cards",
            );
            continue;
        }
        let driver = machine.link(&format!("{folder}/driver")).unwrap_or_else(|| "none".to_owned());
        if SHARING.contains(&driver.as_str()) {
            continue;
        }
        if !FOR_DPDK.contains(&driver.as_str()) {
            findings.error(
                format!("port {name}: {device} belongs to the kernel's driver {driver}"),
                format!("director-host-setup bind {device}"),
            );
        } else if driver == "vfio-pci" && !machine.has(&format!("{folder}/iommu_group")) {
            findings.error(
                format!("port {name}: {device} is in no IOMMU group, so vfio-pci cannot take it"),
                "switch on VT-d or AMD-Vi in the firmware, and boot with intel_iommu=on iommu=pt",
            );
        }
        let node = machine.read(&format!("{folder}/numa_node")).and_then(|node| node.parse().ok());
        let far: Vec<String> = node
            .filter(|node: &i32| *node >= 0)
            .into_iter()
            .flat_map(|node| far_cores(config, machine, node))
            .collect();
        if !far.is_empty() {
            findings.warn(
                format!("port {name}: core {} is on another NUMA node", far.join(", ")),
                "choose dpdk.cores of the card's node: lscpu -e",
            );
        }
    }
}

/// Workers' cores that are not on the node. A core's folder has an entry `nodeN`.
fn far_cores(config: &Config, machine: &Machine, node: i32) -> Vec<String> {
    let cores = config.dpdk.cores.iter();
    let folder = |core: &u16| format!("sys/devices/system/cpu/cpu{core}");
    let is_far = |core: &&u16| {
        let has = |node: i32| machine.has(&format!("{}/node{node}", folder(core)));
        !has(node) && (0..64).any(has)
    };
    cores.filter(is_far).map(u16::to_string).collect()
}
