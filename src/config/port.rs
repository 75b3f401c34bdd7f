//! `[[port]]`: the network ports.

use super::devices;
use super::document::{Document, Section};
use super::dpdk::DpdkConfig;
use super::known::{Known, MTU_MIN, MTU_MIN_IPV6, interface_id, is_word};
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::limits::{MTU_MAX, PORTS_MAX};
use crate::model::{InterfaceAddress, InterfaceId, PortSide, Prefix, vdev_name};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use toml::Spanned;

const SIDES: [(&str, PortSide); 3] =
    [("both", PortSide::Both), ("clients", PortSide::Clients), ("servers", PortSide::Servers)];
const INTERFACE_FORM: &str = "an address with its prefix length as 10.0.0.1/24";

/// One network port. Its place in the file is its [`PortId`](crate::model::PortId), and the
/// [`InterfaceId`](crate::model::InterfaceId) of the interface on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    pub name: String,
    /// Name of a virtual device, or PCI address.
    pub device: String,
    pub addresses: Vec<InterfaceAddress>,
    /// The IPv4 default route's next hop.
    pub gateway: Option<Ipv4Addr>,
    /// The IPv6 default route's next hop.
    pub gateway_ipv6: Option<Ipv6Addr>,
    /// Name of the kernel interface, by which the host's own stack uses the port; `None`: it does not.
    pub kernel: Option<String>,
    /// Bytes of the longest IP packet.
    pub mtu: u16,
    pub promiscuous: bool,
    pub side: PortSide,
    /// `None`: the daemon chooses.
    pub rx_descriptors: Option<u16>,
    /// `None`: the daemon chooses.
    pub tx_descriptors: Option<u16>,
}

impl PortConfig {
    /// Ethernet's.
    pub const MTU_DEFAULT: u16 = 1500;

    /// The address is reached through this port without a router: it is in one of the port's
    /// networks, or link-local where the port speaks IPv6 (RFC 4291 section 2.5.6).
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.addresses
            .iter()
            .any(|own| own.network().contains(address) || (link_local && own.address().is_ipv6()))
    }
}

/// Longest name of a Linux interface in bytes: `IFNAMSIZ` without its terminating zero.
const INTERFACE_NAME_MAX: usize = 15;
const KERNEL_FORM: &str =
    "true, false, or the name of a new kernel interface: 1 to 15 of A-Z a-z 0-9 _ . -";

/// `[[port]]`.
pub struct Port;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    name: Spanned<String>,
    device: Spanned<String>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
    gateway: Field<String>,
    gateway_ipv6: Field<String>,
    kernel: Field<Kernel>,
    mtu: Field<i64>,
    promiscuous: Option<bool>,
    side: Field<String>,
    rx_descriptors: Field<i64>,
    tx_descriptors: Field<i64>,
}

/// The value of `kernel`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Kernel {
    /// With the port's name.
    Switch(bool),
    Name(String),
}

impl ConfigTable for Port {
    const NAME: &'static str = "port";
    type Raw = Vec<Section<Raw>>;
    type Checked = Vec<PortConfig>;
    type Update = Vec<PortConfig>;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw {
        document.several(Self::NAME, report)
    }

    fn check(sections: Self::Raw, known: &mut Known, report: &mut Report<'_>) -> Vec<PortConfig> {
        known.is_process_sound = report.count() == 0;
        let mut ports: Vec<PortConfig> = Vec::new();
        for Section { raw, offset } in sections {
            if ports.len() == PORTS_MAX {
                report.fault(offset, "port", format!("more than {PORTS_MAX} ports"));
                break;
            }
            let port = port(&raw, &ports, report);
            unique(&raw, &port, &ports, report);
            if let Some(dpdk) = known.find::<DpdkConfig>().filter(|_| known.is_process_sound) {
                device_exists(&raw.device, dpdk, report);
                let others = ports.iter().map(|port| (port.name.as_str(), port.device.as_str()));
                devices::check(&raw.device, others, dpdk, report);
            }
            ports.push(port);
        }
        if known.is_readable && ports.is_empty() {
            let problem = format!("no [[port]] is given; a director needs 1 to {PORTS_MAX}");
            report.fault_of_file("port", problem);
        }
        known.are_ports_sound = known.is_process_sound && report.count() == 0;
        known.keep(ports.clone());
        ports
    }

    fn changed(old: &Vec<PortConfig>, new: &Vec<PortConfig>) -> ReloadChange<Self::Update> {
        let names = |ports: &[PortConfig]| -> Vec<String> {
            ports.iter().map(|port| port.name.clone()).collect()
        };
        if names(old) != names(new) {
            return ReloadChange::restart([("port.name", false)]);
        }
        let pairs = old.iter().zip(new);
        pairs.fold(ReloadChange::live(old, new), |change, (old, new)| change.and(restart(old, new)))
    }
}

/// Addresses and gateways can change while the director runs; the rest of a port cannot.
fn restart<U>(old: &PortConfig, new: &PortConfig) -> ReloadChange<U> {
    let keys = [
        ("device", old.device == new.device),
        ("kernel", old.kernel == new.kernel),
        ("mtu", old.mtu == new.mtu),
        ("promiscuous", old.promiscuous == new.promiscuous),
        ("side", old.side == new.side),
        ("rx_descriptors", old.rx_descriptors == new.rx_descriptors),
        ("tx_descriptors", old.tx_descriptors == new.tx_descriptors),
    ];
    let keys = keys.map(|(key, same)| (format!("port.{key} of {}", new.name), same));
    ReloadChange::restart(keys.iter().map(|(key, same)| (key.as_str(), *same)))
}

/// The ports, for the tables checked after them.
pub(super) fn ports(known: &Known) -> &[PortConfig] {
    known.find::<Vec<PortConfig>>().map_or(&[], Vec::as_slice)
}

/// The address is the broadcast address of a network on a port's link.
pub(super) fn is_broadcast(known: &Known, address: IpAddr) -> bool {
    let mut own = ports(known).iter().flat_map(|port| &port.addresses);
    own.any(|own| own.broadcast() == Some(address))
}

/// The interface of the port with that name, or `None` after listing the names.
pub(super) fn interface_named(
    known: &Known,
    name: &Spanned<String>,
    key: &str,
    report: &mut Report<'_>,
) -> Option<InterfaceId> {
    let ports = ports(known);
    let position = ports.iter().position(|port| port.name == *name.get_ref());
    if position.is_none() && known.are_ports_sound {
        let names: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
        let problem = format!("no port `{}`", name.get_ref().escape_debug());
        report.fault_allowed(name.span().start, key, problem, names.join(", "));
    }
    position.map(interface_id)
}

/// Why the address cannot be a neighbour on the port's link.
pub(super) fn unfit_neighbour(address: IpAddr, port: &PortConfig) -> Option<String> {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        Some(format!("{address} is not unicast"))
    } else if port.addresses.iter().any(|own| own.address() == address) {
        Some(format!("{address} is the port's own address"))
    } else if port.addresses.iter().any(|own| own.broadcast() == Some(address)) {
        Some(format!("{address} is the broadcast address of its network"))
    } else if port
        .addresses
        .iter()
        .any(|own| own.broadcast().is_some() && own.network().address() == address)
    {
        Some(format!("{address} is the address of its network itself"))
    } else if !port.is_on_link(address) {
        Some(format!("{address} is in no network of port {}", port.name))
    } else {
        None
    }
}

fn port(raw: &Raw, others: &[PortConfig], report: &mut Report) -> PortConfig {
    let before = report.count();
    let addresses = addresses(&raw.addresses, others, report);
    let all_addresses_known = report.count() == before;
    let name =
        report.text_at(
            &raw.name,
            "port.name",
            "1 to 32 of A-Z a-z 0-9 _ . -",
            |name| match is_word(name, "_.-") {
                true => Ok(name.to_owned()),
                false => Err(format!("`{}` cannot name a port", name.escape_debug())),
            },
        );
    if raw.device.get_ref().is_empty() || raw.device.get_ref().contains(['\0', ',', ' ']) {
        let problem = format!("`{}` names no device", raw.device.get_ref().escape_debug());
        let allowed = "a PCI address, or a virtual device's name without its arguments";
        report.fault_allowed(raw.device.span().start, "port.device", problem, allowed);
    }
    let speaks_ipv6 = addresses.iter().any(|own| own.address().is_ipv6());
    let mtu_min = if speaks_ipv6 { MTU_MIN_IPV6 } else { MTU_MIN };
    let mtu = report.number(&raw.mtu, "port.mtu", mtu_min..=MTU_MAX);
    let name = name.unwrap_or_default();
    let port = PortConfig {
        kernel: kernel(&raw.kernel, &name, others, report),
        name,
        device: raw.device.get_ref().clone(),
        addresses,
        gateway: report.text(&raw.gateway, "port.gateway", "an IPv4 address", ipv4),
        gateway_ipv6: report.text(&raw.gateway_ipv6, "port.gateway_ipv6", "an IPv6 address", ipv6),
        mtu: mtu.unwrap_or(PortConfig::MTU_DEFAULT),
        promiscuous: raw.promiscuous.unwrap_or(false),
        side: report.word(&raw.side, "port.side", &SIDES).unwrap_or_default(),
        rx_descriptors: report.number(&raw.rx_descriptors, "port.rx_descriptors", 32..=32_768),
        tx_descriptors: report.number(&raw.tx_descriptors, "port.tx_descriptors", 32..=32_768),
    };
    if all_addresses_known {
        gateways(raw, &port, report);
    }
    port
}

/// The name of the kernel interface.
fn kernel(
    raw: &Field<Kernel>,
    port: &str,
    others: &[PortConfig],
    report: &mut Report,
) -> Option<String> {
    const KEY: &str = "port.kernel";
    let field = raw.as_ref()?;
    let name = match field.get_ref() {
        Kernel::Switch(false) => return None,
        Kernel::Switch(true) => port,
        Kernel::Name(name) => name,
    };
    let offset = field.span().start;
    if name.len() > INTERFACE_NAME_MAX || !is_word(name, "_.-") || matches!(name, "." | "..") {
        let problem = format!("`{}` cannot name a kernel interface", name.escape_debug());
        report.fault_allowed(offset, KEY, problem, KERNEL_FORM);
    } else if let Some(other) = others.iter().find(|other| other.kernel.as_deref() == Some(name)) {
        let problem = format!("{name} is the kernel interface of port {} already", other.name);
        report.fault(offset, KEY, problem);
    }
    Some(name.to_owned())
}

fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an IPv4 address"))
}

fn ipv6(text: &str) -> Result<Ipv6Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an IPv6 address"))
}

fn addresses(
    raw: &[Spanned<String>],
    others: &[PortConfig],
    report: &mut Report,
) -> Vec<InterfaceAddress> {
    const KEY: &str = "port.addresses";
    let mut addresses: Vec<InterfaceAddress> = Vec::new();
    for text in raw {
        let parse = str::parse::<InterfaceAddress>;
        let Some(own) = report.text_at(text, KEY, INTERFACE_FORM, parse) else { continue };
        let address = own.address();
        let offset = text.span().start;
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            let problem = format!("{address} cannot be an interface's address");
            report.fault_allowed(offset, KEY, problem, INTERFACE_FORM);
            continue;
        } else if own.broadcast() == Some(address) {
            report.fault(offset, KEY, format!("{address} is the broadcast address of its network"));
        } else if own.broadcast().is_some() && own.network().address() == address {
            report.fault(offset, KEY, format!("{address} is the address of its network itself"));
        } else if addresses.iter().any(|other| other.address() == address) {
            report.fault(offset, KEY, format!("{address} is listed twice"));
        } else if let Some(problem) = clash(own, others) {
            report.fault(offset, KEY, problem);
        }
        addresses.push(own);
    }
    addresses
}

/// Why the address conflicts with an address of another port. Link-local addresses never do: each link has its own
/// `fe80::/10`.
fn clash(own: InterfaceAddress, others: &[PortConfig]) -> Option<String> {
    if matches!(own.address(), IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return None;
    }
    others.iter().find_map(|port| {
        port.addresses.iter().find_map(|other| {
            if other.address() == own.address() {
                Some(format!("{} is an address of port {} already", own.address(), port.name))
            } else if other.network() == own.network() && !own.network().is_host() {
                Some(format!("{} is the network of port {} already", own.network(), port.name))
            } else if overlap(own.network(), other.network()) {
                let (own, other) = (own.network(), other.network());
                Some(format!("{own} overlaps {other} of port {}", port.name))
            } else {
                None
            }
        })
    })
}

/// One network contains the other. A single address may be in another port's network: its prefix is longer.
fn overlap(one: Prefix, other: Prefix) -> bool {
    let holds = |outer: Prefix, inner: Prefix| outer.contains(inner.address());
    !one.is_host() && !other.is_host() && (holds(one, other) || holds(other, one))
}

fn gateways(raw: &Raw, port: &PortConfig, report: &mut Report) {
    let ipv4 = port.gateway.map(IpAddr::V4);
    let ipv6 = port.gateway_ipv6.map(IpAddr::V6);
    for (field, gateway, key) in
        [(&raw.gateway, ipv4, "port.gateway"), (&raw.gateway_ipv6, ipv6, "port.gateway_ipv6")]
    {
        if let (Some(field), Some(gateway)) = (field, gateway)
            && let Some(problem) = unfit_neighbour(gateway, port)
        {
            report.fault(field.span().start, key, problem);
        }
    }
}

/// Each name, device and default route belongs to one port.
fn unique(raw: &Raw, port: &PortConfig, others: &[PortConfig], report: &mut Report) {
    if let Some(other) = others.iter().find(|other| other.name == port.name) {
        let problem = format!("a second port `{}`", other.name);
        report.fault(raw.name.span().start, "port.name", problem);
    }
    if let Some(other) = others.iter().find(|other| other.device == port.device) {
        let problem = format!("{} is the device of port {} already", port.device, other.name);
        report.fault(raw.device.span().start, "port.device", problem);
    }
    let first_ipv4 = others.iter().find(|other| other.gateway.is_some());
    let first_ipv6 = others.iter().find(|other| other.gateway_ipv6.is_some());
    for (field, first, key) in [
        (&raw.gateway, first_ipv4, "port.gateway"),
        (&raw.gateway_ipv6, first_ipv6, "port.gateway_ipv6"),
    ] {
        if let (Some(field), Some(first)) = (field, first) {
            let problem = format!("port {} has the default route already", first.name);
            report.fault(field.span().start, key, problem);
        }
    }
}

/// A device called `net_...` must be named in `dpdk.vdevs` or `dpdk.arguments`.
fn device_exists(device: &Spanned<String>, dpdk: &DpdkConfig, report: &mut Report) {
    let name = device.get_ref();
    let argued = dpdk.arguments.iter().any(|argument| argument.contains(name.as_str()));
    if name.starts_with("net_") && dpdk.vdev(name).is_none() && !argued {
        let problem = format!("no virtual device `{name}` in dpdk.vdevs");
        let names: Vec<_> = dpdk.vdevs.iter().map(|vdev| vdev_name(vdev)).collect();
        let allowed = match names.is_empty() {
            true => "a PCI address, or a device listed in dpdk.vdevs".to_owned(),
            false => format!("a PCI address, {}", names.join(", ")),
        };
        report.fault_allowed(device.span().start, "port.device", problem, allowed);
    }
}
