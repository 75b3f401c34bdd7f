//! What IPVS refuses of a service or destination, independent of other configuration.

use crate::api::{Refusal, RefusalCode};
use crate::model::{
    DestinationSpec, Family, PersistenceMask, ServiceKey, ServiceSpec, Timeouts, Tunnel,
    TunnelChecksum,
};
use std::net::IpAddr;

/// Weights are signed in the kernel.
pub(super) const WEIGHT_MAX: u32 = i32::MAX as u32;

/// The only persistence engine.
const SIP: &str = "sip";

type Checked = Result<(), Refusal>;

fn refuse<T>(code: RefusalCode, detail: String) -> Result<T, Refusal> {
    Err(Refusal::new(code, detail))
}

/// Checks the key: mark 0 means no mark.
pub(super) fn key(key: &ServiceKey) -> Checked {
    match key {
        ServiceKey::Fwmark { mark: 0, .. } => refuse(
            RefusalCode::EINVAL,
            "firewall mark 0 marks nothing; a service needs another".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Checks the engine, then the netmask.
pub(super) fn service(spec: &ServiceSpec) -> Checked {
    if let Some(engine) = spec.persistence_engine.as_deref().filter(|engine| *engine != SIP) {
        return refuse(
            RefusalCode::ENOENT,
            format!("there is no persistence engine `{engine}`; the only one is `{SIP}`"),
        );
    }
    let Some(persistence) = spec.persistence else { return Ok(()) };
    match (spec.key.family(), persistence.mask) {
        (Family::Ipv4, PersistenceMask::Ipv4(_))
        | (Family::Ipv6, PersistenceMask::Ipv6(1..=128)) => Ok(()),
        (Family::Ipv4, PersistenceMask::Ipv6(_)) => refuse(
            RefusalCode::EINVAL,
            format!("{} is an IPv4 service; its persistence mask is an IPv4 mask", spec.key),
        ),
        (Family::Ipv6, _) => refuse(
            RefusalCode::EINVAL,
            format!("{} is an IPv6 service; its persistence prefix is 1 to 128", spec.key),
        ),
    }
}

/// Only tunnels can reach servers of the other address family.
pub(super) fn family(service: &ServiceKey, spec: &DestinationSpec) -> Checked {
    let differs = Family::of(spec.at.address) != service.family();
    if differs && !spec.method.encapsulates() {
        return refuse(
            RefusalCode::EINVAL,
            format!(
                "{} is of another address family than {service}, which only tunnelling allows",
                spec.at
            ),
        );
    }
    Ok(())
}

/// Checks weight, thresholds, tunnel.
pub(super) fn destination(spec: &DestinationSpec) -> Checked {
    if spec.weight > WEIGHT_MAX {
        return refuse(
            RefusalCode::ERANGE,
            format!("weight {} of {} is not in 0 to {WEIGHT_MAX}", spec.weight, spec.at),
        );
    }
    if spec.lower_threshold > spec.upper_threshold {
        return refuse(
            RefusalCode::ERANGE,
            format!(
                "lower threshold {} of {} is above its upper threshold {}",
                spec.lower_threshold, spec.at, spec.upper_threshold
            ),
        );
    }
    match spec.tunnel {
        Tunnel::Gue { port: 0, .. } => refuse(
            RefusalCode::EINVAL,
            format!("the GUE tunnel to {} needs a UDP port other than 0", spec.at),
        ),
        Tunnel::Gre { checksum: TunnelChecksum::Remote } => refuse(
            RefusalCode::EINVAL,
            format!("the GRE tunnel to {} has no remote checksum; only GUE has", spec.at),
        ),
        _ => Ok(()),
    }
}

/// Checks that the address is unicast, or the director's own (`is_local`); `is_group` is true for broadcast addresses
/// of the director's networks.
pub(super) fn address(address: IpAddr, is_local: bool, is_group: bool) -> Checked {
    let is_station = match address {
        // Since 5.3 Linux treats the rest of 0.0.0.0/8 as unicast.
        IpAddr::V4(address) => !address.is_unspecified() && !is_group,
        // Link-local addresses would need an interface; mapped addresses are IPv4 addresses.
        IpAddr::V6(address) => {
            !is_group
                && !address.is_unspecified()
                && !address.is_unicast_link_local()
                && address.to_ipv4_mapped().is_none()
        }
    };
    match is_station || is_local {
        true => Ok(()),
        false => refuse(
            RefusalCode::EINVAL,
            format!("{address} is no unicast address, so no real server can have it"),
        ),
    }
}

pub(super) fn timeouts(timeouts: &Timeouts) -> Checked {
    let all = [("tcp", timeouts.tcp), ("tcpfin", timeouts.tcp_fin), ("udp", timeouts.udp)];
    match all.into_iter().find(|(_, seconds)| *seconds > Timeouts::MAX_S) {
        Some((name, seconds)) => refuse(
            RefusalCode::EINVAL,
            format!("{name} timeout {seconds} s is longer than 31 days ({} s)", Timeouts::MAX_S),
        ),
        None => Ok(()),
    }
}
