//! The director's own addresses: addresses of interfaces, configured VIPs, and VIPs of services.
//!
//! A VIP is *present* while it is configured or a service has it: packets to it are local and served. It is *active* if
//! the director announces it and answers ARP and neighbour discovery for it. A present VIP is active unless another
//! host is known to have the address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

/// Which other host has the address of an inactive VIP, or why none may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Router,
    /// It is the network or broadcast address of a link.
    Link,
    /// It is the subnet-router anycast address of a link.
    Anycast,
    /// It has an entry `[[neighbour]]`.
    Neighbour,
    RealServer,
    /// Nobody may have it: it is in 240.0.0.0/4 (RFC 1112 section 4).
    Reserved,
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Holder::Router => "the address of a router",
            Holder::Link => "the network or broadcast address of a link",
            Holder::Anycast => "the subnet-router anycast address of a link",
            Holder::Neighbour => "the address of a static neighbour",
            Holder::RealServer => "the address of a real server",
            Holder::Reserved => "a reserved address",
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// Number of reasons for each address.
    held: HashMap<IpAddr, u32>,
    /// Number of services that have it.
    services: HashMap<IpAddr, u32>,
    configured: BTreeSet<IpAddr>,
    /// Inactive VIPs, because another host has the address.
    contested: BTreeMap<IpAddr, Holder>,
    /// VIPs that may have become active or inactive since the last call of `take`.
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

/// True if hosts on a link may solicit the address.
fn can_be_owned(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(is_broadcast || address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

impl Addresses {
    /// Adds an address of an interface. This and the next functions return true if the address has become the
    /// director's, or has ceased to be.
    pub(super) fn add_interface(&mut self, address: IpAddr) -> bool {
        add(&mut self.held, address)
    }

    pub(super) fn remove_interface(&mut self, address: IpAddr) -> bool {
        take(&mut self.held, address)
    }

    /// All addresses of the director.
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

    /// Replaces the configured VIPs; returns the addresses that the director gains and loses.
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

    /// VIPs that may have become active (true) or inactive since the last call.
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

    /// Inactive VIPs, and the host that has each.
    pub(super) fn contested(&self) -> impl Iterator<Item = (IpAddr, Holder)> {
        self.contested.iter().map(|(address, holder)| (*address, *holder))
    }

    /// Sets the other host that has the address of a VIP (`None`: no host); true if that is new.
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
