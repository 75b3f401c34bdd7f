//! Unsolicited announcements of addresses: gratuitous ARP (RFC 5227 section 3) and unsolicited neighbour advertisements
//! (RFC 4861 section 7.2.6). Neighbours update their entries from them.

use super::local::{Local, is_on_link};
use super::{IpHost, Outbox};
use crate::io::Frame;
use crate::limits::INJECT_RING;
use crate::model::InterfaceId;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Time between two announcements of one address, because any may be lost.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum sent at once; the others wait for the next tick.
const AT_ONCE: usize = INJECT_RING / 4;

/// Announcements still to send, by time, with how many times more.
#[derive(Debug)]
pub(super) struct Announcements {
    /// How often each address is announced.
    times: u8,
    pending: BTreeMap<(Instant, InterfaceId, IpAddr), u8>,
}

impl Announcements {
    pub(super) fn new(times: u8) -> Self {
        Announcements { times, pending: BTreeMap::new() }
    }

    /// The interfaces' own addresses.
    pub(super) fn add_own(&mut self, local: &Local, now: Instant) {
        for interface in local.interfaces() {
            for (address, _) in &interface.addresses {
                self.add(now, interface.id, *address);
            }
        }
    }

    /// A virtual address: on the interfaces whose network contains it; if none does, on all.
    pub(super) fn add_virtual(&mut self, local: &Local, address: IpAddr, now: Instant) {
        let any = local.interfaces().iter().any(|interface| is_on_link(interface, address));
        for interface in local.interfaces() {
            if !any || is_on_link(interface, address) {
                self.add(now, interface.id, address);
            }
        }
    }

    fn add(&mut self, now: Instant, interface: InterfaceId, address: IpAddr) {
        if self.times > 0 {
            self.pending.insert((now, interface, address), self.times);
        }
    }

    /// When the next one is due; `None` if all are sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|((due, ..), _)| *due)
    }

    /// Takes one that is due, and schedules the next one of its address.
    fn next(&mut self, now: Instant) -> Option<(InterfaceId, IpAddr)> {
        let entry = self.pending.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, interface, address), left) = entry.remove_entry();
        if left > 1 {
            self.pending.insert((now + INTERVAL, interface, address), left - 1);
        }
        Some((interface, address))
    }
}

impl<F: Frame> IpHost<F> {
    /// Sends announcements that are due, a part of them at each call.
    pub fn send_announcements(&mut self, now: Instant, out: &mut impl Outbox<F>) {
        for _ in 0..AT_ONCE {
            let Some((interface, address)) = self.announcements.next(now) else { return };
            match address {
                // The address may have been removed meanwhile.
                _ if !self.local.is_local(address) => {}
                IpAddr::V4(address) => self.arp_announce(interface, address, out),
                IpAddr::V6(address) => self.nd_announce(interface, address, out),
            }
        }
    }
}
