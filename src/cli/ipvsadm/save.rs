//! The output of `-S`: the table as command lines for `-R`.

use super::listing::AddressText;
use super::scheduler_flags;
use crate::model::{
    DestinationRow, Family, Persistence, PersistenceMask, Protocol, ServiceKey, ServiceRow,
    ServiceSpec, Tunnel, TunnelChecksum,
};
use std::fmt::Write;

/// Appends a service and its destinations, one line each. As in ipvsadm, thresholds are not saved.
pub(super) fn service(text: &mut String, row: &ServiceRow, addresses: AddressText<'_>) {
    let name = service_name(&row.spec.key, addresses);
    let _ = write!(text, "-A {name} -s {}", row.spec.scheduler);
    push_attributes(text, &row.spec);
    text.push('\n');
    let protocol = match row.spec.key {
        ServiceKey::Address { protocol, .. } => Some(protocol),
        ServiceKey::Fwmark { .. } => None,
    };
    for row in &row.destinations {
        let _ = write!(text, "-a {name} -r ");
        push_destination(text, row, protocol, addresses);
        text.push('\n');
    }
}

/// The service as options. Marks are unsigned here, unlike in listings, because `-R` refuses signed ones.
fn service_name(key: &ServiceKey, addresses: AddressText<'_>) -> String {
    match *key {
        ServiceKey::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            format!("{option} {}", addresses.write(address, port, Some(protocol)))
        }
        ServiceKey::Fwmark { mark, family: Family::Ipv4 } => format!("-f {mark}"),
        ServiceKey::Fwmark { mark, family: Family::Ipv6 } => format!("-f {mark} -6"),
    }
}

fn push_attributes(text: &mut String, spec: &ServiceSpec) {
    if let Some(Persistence { timeout_s, mask }) = spec.persistence {
        let _ = write!(text, " -p {timeout_s}");
        match mask {
            _ if mask == PersistenceMask::full(spec.key.family()) => {}
            PersistenceMask::Ipv4(mask) => {
                let _ = write!(text, " -M {mask}");
            }
            PersistenceMask::Ipv6(prefix) => {
                let _ = write!(text, " -M {prefix}");
            }
        }
    }
    if let Some(engine) = &spec.persistence_engine {
        let _ = write!(text, " --pe {engine}");
    }
    if spec.one_packet {
        text.push_str(" -o");
    }
    if !spec.scheduler_flags.is_empty() {
        let names = scheduler_flags::saved_names(spec.scheduler_flags, spec.scheduler);
        let _ = write!(text, " -b {names}");
    }
}

fn push_destination(
    text: &mut String,
    row: &DestinationRow,
    protocol: Option<Protocol>,
    addresses: AddressText<'_>,
) {
    let spec = &row.spec;
    let name = addresses.write(spec.at.address, spec.at.port, protocol);
    let _ = write!(text, "{name} {} -w {}", spec.method.option(), spec.weight);
    if spec.method.encapsulates() {
        let _ = match spec.tunnel {
            Tunnel::Ipip => write!(text, " --tun-type ipip"),
            Tunnel::Gue { port, checksum } => {
                let checksum = checksum_option(checksum);
                write!(text, " --tun-type gue --tun-port {port} {checksum}")
            }
            Tunnel::Gre { checksum } => {
                write!(text, " --tun-type gre {}", checksum_option(checksum))
            }
        };
    }
}

const fn checksum_option(checksum: TunnelChecksum) -> &'static str {
    match checksum {
        TunnelChecksum::None => "--tun-nocsum",
        TunnelChecksum::Full => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    }
}
