//! Interfaces of the kernel below virtual devices, and addresses that the kernel has too.

use super::{Findings, Machine};
use crate::config::Config;
use crate::model::kernel_interface;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

pub(super) fn look(config: &Config, machine: &Machine, findings: &mut Findings) {
    for port in &config.ports {
        if let Some(interface) = config.dpdk.vdev(&port.device).and_then(kernel_interface) {
            look_at(&port.name, interface, port.mtu, machine, findings);
        }
    }
    // A kernel interface has the director's addresses, and the director answers for it.
    if config.ports.iter().any(|port| port.kernel.is_some()) {
        return;
    }
    let kernels = addresses(machine);
    for port in &config.ports {
        for own in port.addresses.iter().filter(|own| kernels.contains(&own.address())) {
            let address = own.address();
            findings.error(
                format!("port {}: the kernel has {address} too, so both answer", port.name),
                format!("ip address delete {address}/{} dev INTERFACE", own.length()),
            );
        }
    }
}

fn look_at(port: &str, interface: &str, mtu: u16, machine: &Machine, findings: &mut Findings) {
    let folder = format!("sys/class/net/{interface}");
    if !machine.has(&folder) {
        findings.error(
            format!("port {port}: there is no interface {interface}"),
            "ip link lists the interfaces; correct dpdk.vdevs",
        );
        return;
    }
    if machine.read(&format!("{folder}/operstate")).as_deref() == Some("down") {
        findings.error(
            format!("port {port}: interface {interface} is down"),
            format!("ip link set {interface} up"),
        );
    }
    let own = machine.read(&format!("{folder}/mtu")).and_then(|text| text.parse::<u32>().ok());
    if let Some(own) = own.filter(|own| *own < u32::from(mtu)) {
        findings.warn(
            format!("port {port}: the MTU of {interface} is {own}, port.mtu is {mtu}"),
            format!("ip link set {interface} mtu {mtu}"),
        );
    }
}

/// The addresses of the kernel: proc(5), `/proc/net/fib_trie` and `/proc/net/if_inet6`.
fn addresses(machine: &Machine) -> BTreeSet<IpAddr> {
    let mut addresses = BTreeSet::new();
    let mut last = None;
    for line in machine.read("proc/net/fib_trie").unwrap_or_default().lines() {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.contains("host LOCAL") {
            addresses.extend(last.map(IpAddr::V4));
        }
    }
    for line in machine.read("proc/net/if_inet6").unwrap_or_default().lines() {
        let bits = line.split(' ').next().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        addresses.extend(bits.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
    }
    addresses
}
