//! The director's own addresses: those of its interfaces, configured VIPs, and VIPs of services.
//!
//! A VIP is *present* as long as it is configured or a service has it: packets to it are local and served. It is
//! *active* if ARP and neighbour discovery answer for it and it is announced. A present VIP is active unless another
//! host is known to have the address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

/// Who has the address of a VIP that is not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Router,
    /// It is the network or broadcast address of a link.
    Link,
    RealServer,
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Holder::Router => "the address of a router",
            Holder::Link => "the network or broadcast address of a link",
            Holder::RealServer => "the address of a real server",
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// How many reasons there are for each address.
    held: HashMap<IpAddr, u32>,
    /// How many services have it.
    services: HashMap<IpAddr, u32>,
    configured: BTreeSet<IpAddr>,
    /// VIPs that are not active, because another host has them.
    contested: BTreeMap<IpAddr, Holder>,
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

    /// VIPs that may have become active since the last call (true), or are no longer.
    pub(super) fn take_virtual_changes(&mut self) -> Vec<(IpAddr, bool)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|address| (address, self.is_active(address))).collect()
    }

    fn is_active(&self, address: IpAddr) -> bool {
        self.is_virtual(address) && !self.is_contested(address)
    }

    pub(super) fn is_contested(&self, address: IpAddr) -> bool {
        self.contested.contains_key(&address)
    }

    /// VIPs that are not active, and who has them.
    pub(super) fn contested(&self) -> impl Iterator<Item = (IpAddr, Holder)> {
        self.contested.iter().map(|(address, holder)| (*address, *holder))
    }

    /// Another host has the address of a VIP (`Some`), or no other is known to; true if that is new.
    pub(super) fn contest(&mut self, address: IpAddr, holder: Option<Holder>) -> bool {
        let old = match holder {
            Some(holder) => self.contested.insert(address, holder),
            None => self.contested.remove(&address),
        };
        if old != holder {
            self.changed.insert(address);
        }
        old != holder
    }

    pub(super) fn is_virtual(&self, address: IpAddr) -> bool {
        self.services.contains_key(&address) || self.configured.contains(&address)
    }
}
