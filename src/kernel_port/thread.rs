//! The kernel-port thread: makes the devices, moves frames, and keeps the host's addresses and links as the director's.

use super::error::KernelPortError;
use super::link::{HostReport, HostRequest, KernelLink};
use super::monitor::{AddressChange, Monitor};
use super::netlink::Netlink;
use super::pump::{Loss, Pump};
use super::settings::KernelInterface;
use super::tap::Tap;
use crate::io::Frame;
use crate::limits::HOST_RING;
use crate::model::{InterfaceId, PortId, Prefix};
use crate::time::{Duration, Instant};
use crate::worker::HostRings;
use crossbeam_channel::{Receiver, Sender, unbounded};
use rtrb::RingBuffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Longest sleep while frames move: workers do not wake the thread up.
const EAGER: Duration = Duration::from_micros(100);
/// How long after a frame the thread stays eager.
const EAGER_FOR: Duration = Duration::from_millis(10);
/// Longest sleep while frames move now and then: what a packet of an ssh session waits at most.
const ATTENTIVE: Duration = Duration::from_millis(1);
/// How long after a frame the thread stays attentive.
const ATTENTIVE_FOR: Duration = Duration::from_secs(2);
/// Longest sleep of all.
const QUIET: Duration = Duration::from_millis(5);
/// How often requests and changes on the host are looked for while frames move.
const LOOK: Duration = Duration::from_millis(20);
/// How often links are asked for, and lost devices and addresses are made again.
const MEND: Duration = Duration::from_secs(1);

/// An address of the host with its prefix length.
type HostAddress = (IpAddr, u8);
/// Where it leads, and the router on the interface's link.
type HostRoute = (Prefix, InterfaceId, IpAddr);

/// What the thread needs of the ports.
pub struct Machine<F> {
    /// An empty frame that the port can send.
    pub allocate: Box<dyn FnMut(PortId) -> Option<F> + Send>,
    /// The port has a link.
    pub is_link_up: Box<dyn Fn(PortId) -> bool + Send>,
}

/// The thread's state.
pub struct KernelPort<F> {
    interfaces: Vec<KernelInterface>,
    pump: Pump<F, Tap>,
    machine: Machine<F>,
    netlink: Netlink,
    monitor: Monitor,
    requests: Receiver<HostRequest>,
    reports: Sender<HostReport>,
    /// By kernel interface: the addresses that the director wants there.
    addresses: Vec<BTreeSet<HostAddress>>,
    /// The first kernel interface has them.
    virtual_addresses: BTreeSet<IpAddr>,
    routes: Vec<HostRoute>,
    /// By kernel interface: the carrier that the host was told; `None`: nothing yet.
    carriers: Vec<Option<bool>>,
    /// Addresses or a device have to be made again.
    is_incomplete: bool,
    next_look: Instant,
    next_mend: Instant,
    last_frame: Instant,
}

impl<F: Frame> KernelPort<F> {
    /// Makes the devices. `rings`: by worker.
    ///
    /// # Errors
    /// A device cannot be made.
    pub fn create(
        interfaces: Vec<KernelInterface>,
        rings: Vec<HostRings<F>>,
        machine: Machine<F>,
    ) -> Result<(KernelPort<F>, KernelLink<F>), KernelPortError> {
        let all =
            || interfaces.iter().map(|kernel| kernel.name.as_str()).collect::<Vec<_>>().join(", ");
        let failed = |what| move |source| KernelPortError::of(&all(), what, source);
        let mut netlink = Netlink::open().map_err(failed("rtnetlink"))?;
        let monitor = Monitor::open().map_err(failed("rtnetlink"))?;
        let (copies, copies_end) = RingBuffer::new(HOST_RING);
        let mut pump = Pump::new(&interfaces, rings, copies_end);
        for (at, kernel) in interfaces.iter().enumerate() {
            pump.set_device(at, Some(device(kernel, &mut netlink)?));
        }
        let (requests, requests_end) = unbounded();
        let (reports, reports_end) = unbounded();
        let link = KernelLink {
            interfaces: interfaces.clone(),
            counters: pump.counters(),
            requests,
            reports: reports_end,
            copies,
        };
        let port = KernelPort {
            addresses: vec![BTreeSet::new(); interfaces.len()],
            carriers: vec![None; interfaces.len()],
            interfaces,
            pump,
            machine,
            netlink,
            monitor,
            requests: requests_end,
            reports,
            virtual_addresses: BTreeSet::new(),
            routes: Vec::new(),
            is_incomplete: false,
            next_look: Instant::START,
            next_mend: Instant::START,
            last_frame: Instant::START,
        };
        Ok((port, link))
    }

    /// Works until `stop` returns true.
    pub fn run(mut self, clock: impl Fn() -> Instant, stop: impl Fn() -> bool) {
        while !stop() {
            let now = clock();
            let (moved, losses) = self.pump.run(&mut self.machine.allocate);
            losses.into_iter().for_each(|loss| self.lost(&loss));
            if moved > 0 {
                self.last_frame = now;
            }
            if now >= self.next_look {
                self.next_look = now + LOOK;
                self.follow_requests();
                self.follow_host();
            }
            if now >= self.next_mend {
                self.next_mend = now + MEND;
                self.mend();
            }
            if moved == 0 {
                self.wait(now);
            }
        }
    }

    /// Sleeps until the host sends a frame; not for long, because workers do not wake the thread up.
    fn wait(&self, now: Instant) {
        let quiet_for = now.since(self.last_frame);
        let patience = if quiet_for < EAGER_FOR {
            EAGER
        } else if quiet_for < ATTENTIVE_FOR {
            ATTENTIVE
        } else {
            QUIET
        };
        let mut devices: Vec<PollFd<'_>> =
            self.pump.devices().flatten().map(|tap| PollFd::new(tap, PollFlags::IN)).collect();
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
        // An interrupted sleep is a short one.
        let _ = poll(&mut devices, Some(&timeout));
    }

    fn follow_requests(&mut self) {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                HostRequest::Addresses { interface, addresses } => {
                    self.set_addresses(interface, addresses.into_iter().collect());
                }
                HostRequest::VirtualAddress { address, is_present } => {
                    self.set_virtual(address, is_present);
                }
                HostRequest::Routes(routes) => self.set_routes(routes),
            }
        }
    }

    fn set_addresses(&mut self, interface: InterfaceId, wanted: BTreeSet<HostAddress>) {
        let Some(at) = self.interfaces.iter().position(|kernel| kernel.interface == interface)
        else {
            return;
        };
        let Some(slot) = self.addresses.get_mut(at) else { return };
        let old = std::mem::replace(slot, wanted.clone());
        for (address, length) in old.difference(&wanted) {
            self.remove(at, *address, *length);
        }
        for (address, length) in wanted.difference(&old) {
            self.add(at, *address, *length);
        }
    }

    fn set_virtual(&mut self, address: IpAddr, is_present: bool) {
        let is_changed = match is_present {
            true => self.virtual_addresses.insert(address),
            false => self.virtual_addresses.remove(&address),
        };
        // An interface may have it as its own.
        let is_own = self.addresses.iter().flatten().any(|(own, _)| *own == address);
        match (is_changed && !is_own, is_present) {
            (true, true) => self.add(0, address, host_length(address)),
            (true, false) => self.remove(0, address, host_length(address)),
            (false, _) => {}
        }
    }

    fn set_routes(&mut self, wanted: Vec<HostRoute>) {
        let old = std::mem::replace(&mut self.routes, wanted.clone());
        for (to, interface, router) in old.iter().filter(|route| !wanted.contains(route)) {
            if let Some((at, index)) = self.index(*interface) {
                let outcome = self.netlink.remove_route(index, *to, *router);
                self.tell(at, format_args!("route to {to}"), outcome);
            }
        }
        for route in wanted.iter().filter(|route| !old.contains(route)) {
            self.add_route(route);
        }
    }

    fn add_route(&mut self, (to, interface, router): &HostRoute) {
        if let Some((at, index)) = self.index(*interface) {
            let outcome = self.netlink.add_route(index, *to, *router);
            self.tell(at, format_args!("route to {to}"), outcome);
        }
    }

    /// The place of an interface among the kernel interfaces, and the host's number of it.
    fn index(&self, interface: InterfaceId) -> Option<(usize, u32)> {
        let at = self.interfaces.iter().position(|kernel| kernel.interface == interface)?;
        Some((at, self.index_at(at)?))
    }

    fn index_at(&self, at: usize) -> Option<u32> {
        self.pump.devices().nth(at).flatten().map(|tap| tap.index)
    }

    fn add(&mut self, at: usize, address: IpAddr, length: u8) {
        let Some(index) = self.index_at(at) else { return };
        let outcome = self.netlink.add_address(index, address, length);
        self.tell(at, format_args!("address {address}/{length}"), outcome);
    }

    fn remove(&mut self, at: usize, address: IpAddr, length: u8) {
        let Some(index) = self.index_at(at) else { return };
        let outcome = self.netlink.remove_address(index, address, length);
        self.tell(at, format_args!("address {address}/{length}"), outcome);
    }

    /// Logs an error of the host. What could not be done is tried again.
    fn tell(&mut self, at: usize, what: std::fmt::Arguments<'_>, outcome: std::io::Result<()>) {
        let (Err(error), Some(kernel)) = (outcome, self.interfaces.get(at)) else { return };
        self.is_incomplete = true;
        // An interface that is down takes no routes; that is said by its state.
        if error.raw_os_error() != Some(libc::ENETDOWN) {
            log::warn!("kernel interface {}: {what}: {error}", kernel.name);
        }
    }

    /// Passes on what others have changed on the kernel interfaces.
    fn follow_host(&mut self) {
        for AddressChange { index, address, length, is_added } in self.monitor.changes() {
            let Some(at) =
                self.pump.devices().position(|tap| tap.is_some_and(|tap| tap.index == index))
            else {
                continue;
            };
            let is_wanted =
                self.addresses.get(at).is_some_and(|own| own.contains(&(address, length)))
                    || (at == 0 && self.virtual_addresses.contains(&address));
            // The host makes one from the MAC address, as the director does.
            let is_link_local =
                matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
            let Some(kernel) = self.interfaces.get(at) else { continue };
            let interface = kernel.interface;
            match (is_wanted, is_added) {
                (true, true) => {}
                // An interface that is set down loses its IPv6 addresses.
                (true, false) => self.is_incomplete = true,
                (false, _) if is_link_local => {}
                (false, true) => {
                    self.report(HostReport::AddressAdded { interface, address, length });
                }
                (false, false) => {
                    self.report(HostReport::AddressRemoved { interface, address, length });
                }
            }
        }
    }

    fn report(&self, report: HostReport) {
        // The control thread ends with the process only.
        let _ = self.reports.send(report);
    }

    fn lost(&mut self, Loss { at, error }: &Loss) {
        if let Some(kernel) = self.interfaces.get(*at) {
            log::error!("kernel interface {} is lost: {error}; it is made again", kernel.name);
        }
        self.is_incomplete = true;
    }

    /// Makes lost devices and addresses again, and follows the ports' links.
    fn mend(&mut self) {
        if self.is_incomplete {
            self.is_incomplete = false;
            for at in 0..self.interfaces.len() {
                self.mend_device(at);
                self.mend_addresses(at);
            }
            for route in self.routes.clone() {
                self.add_route(&route);
            }
        }
        for at in 0..self.interfaces.len() {
            self.follow_link(at);
        }
    }

    fn mend_device(&mut self, at: usize) {
        let Some(kernel) = self.interfaces.get(at) else { return };
        if self.index_at(at).is_some() {
            return;
        }
        match device(kernel, &mut self.netlink) {
            Ok(tap) => {
                log::info!("kernel interface {} is back", kernel.name);
                self.pump.set_device(at, Some(tap));
                if let Some(carrier) = self.carriers.get_mut(at) {
                    *carrier = None;
                }
            }
            Err(error) => {
                log::debug!("{error}");
                self.is_incomplete = true;
            }
        }
    }

    fn mend_addresses(&mut self, at: usize) {
        let own = self.addresses.get(at).cloned().unwrap_or_default();
        own.into_iter().for_each(|(address, length)| self.add(at, address, length));
        if at == 0 {
            for address in self.virtual_addresses.clone() {
                self.add(at, address, host_length(address));
            }
        }
    }

    fn follow_link(&mut self, at: usize) {
        let Some(kernel) = self.interfaces.get(at) else { return };
        let is_up = (self.machine.is_link_up)(kernel.port);
        self.pump.set_link(at, is_up);
        let told = self.carriers.get(at).copied().flatten();
        if told == Some(is_up) {
            return;
        }
        let Some(index) = self.index_at(at) else { return };
        match self.netlink.set_carrier(index, is_up) {
            Ok(()) => {
                if let Some(carrier) = self.carriers.get_mut(at) {
                    *carrier = Some(is_up);
                }
            }
            Err(error) => log::debug!("kernel interface {}: carrier: {error}", kernel.name),
        }
    }
}

/// Makes a device and sets it up.
fn device(kernel: &KernelInterface, netlink: &mut Netlink) -> Result<Tap, KernelPortError> {
    let tap = Tap::create(&kernel.name)?;
    netlink
        .set_up(tap.index, kernel.mac, kernel.mtu)
        .map_err(|source| KernelPortError::of(&kernel.name, "MAC address and MTU", source))?;
    Ok(tap)
}

/// The prefix length of a single address.
fn host_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
