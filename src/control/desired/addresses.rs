//! The director's own addresses: those of its interfaces, configured VIPs, and VIPs of services.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// How many reasons there are for each address.
    held: HashMap<IpAddr, u32>,
    /// How many services have it.
    services: HashMap<IpAddr, u32>,
    configured: BTreeSet<IpAddr>,
    /// Those that may have become virtual ones, or ceased to be, since they were last asked for.
    changed: BTreeSet<IpAddr>,
}

fn add(counts: &mut HashMap<IpAddr, u32>, address: IpAddr) -> bool {
    let count = counts.entry(address).or_insert(0);
    *count += 1;
    *count == 1
}

fn take(counts: &mut HashMap<IpAddr, u32>, address: IpAddr) -> bool {
    let Some(count) = counts.get_mut(&address) else { return false };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        counts.remove(&address);
    }
    is_last
}

/// Hosts on a link may ask who has it.
fn can_be_owned(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(is_broadcast || address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

impl Addresses {
    /// An interface's own. Here and below: true if the address becomes, or is no longer, the director's.
    pub(super) fn add_interface(&mut self, address: IpAddr) -> bool {
        add(&mut self.held, address)
    }

    pub(super) fn remove_interface(&mut self, address: IpAddr) -> bool {
        take(&mut self.held, address)
    }

    /// Every address of the director.
    pub(super) fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.held.keys().copied()
    }

    pub(super) fn add_service(&mut self, address: IpAddr) -> bool {
        if !can_be_owned(address) {
            return false;
        }
        if add(&mut self.services, address) {
            self.changed.insert(address);
        }
        add(&mut self.held, address)
    }

    pub(super) fn remove_service(&mut self, address: IpAddr) -> bool {
        if !can_be_owned(address) {
            return false;
        }
        if take(&mut self.services, address) {
            self.changed.insert(address);
        }
        take(&mut self.held, address)
    }

    /// Configured VIPs from now on; gives those that the director gets and those that it loses.
    pub(super) fn configure(&mut self, vips: BTreeSet<IpAddr>) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let old = std::mem::take(&mut self.configured);
        let usable: BTreeSet<_> = vips.into_iter().filter(|vip| can_be_owned(*vip)).collect();
        self.changed.extend(usable.symmetric_difference(&old));
        let added = usable.difference(&old).copied();
        let added = added.filter(|&vip| add(&mut self.held, vip)).collect();
        let lost = old.difference(&usable).copied();
        let lost = lost.filter(|&vip| take(&mut self.held, vip)).collect();
        self.configured = usable;
        (added, lost)
    }

    /// VIPs of services and configured ones: what ARP and neighbour discovery answer for besides the interfaces' own. Those
    /// that may have become one since the last call (true), or ceased to be one.
    pub(super) fn take_virtual_changes(&mut self) -> Vec<(IpAddr, bool)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|address| (address, self.is_virtual(address))).collect()
    }

    fn is_virtual(&self, address: IpAddr) -> bool {
        self.services.contains_key(&address) || self.configured.contains(&address)
    }
}
