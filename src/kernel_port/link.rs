//! The control thread's end: what the host's interfaces are to have, and what was changed there by others.

use super::pump::{HostCounters, filled};
use super::settings::KernelInterface;
use crate::io::Frame;
use crate::model::{InterfaceId, Prefix};
use crossbeam_channel::{Receiver, Sender};
use rtrb::Producer;
use std::net::IpAddr;
use std::sync::Arc;

/// What the control thread asks of the kernel-port thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRequest {
    /// Sets the interface's addresses with their prefix lengths. Those of the last request that are not here are removed.
    Addresses { interface: InterfaceId, addresses: Vec<(IpAddr, u8)> },
    /// The host is to have this virtual address, or (false) no longer.
    VirtualAddress { address: IpAddr, is_present: bool },
    /// Sets the host's routes through routers. Those of the last request that are not here are removed.
    Routes(Vec<(Prefix, InterfaceId, IpAddr)>),
}

/// What has happened to the host's interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostReport {
    /// Somebody else has given the interface an address.
    AddressAdded {
        interface: InterfaceId,
        address: IpAddr,
        length: u8,
    },
    AddressRemoved {
        interface: InterfaceId,
        address: IpAddr,
        length: u8,
    },
}

/// The control thread's end.
pub struct KernelLink<F> {
    pub(super) interfaces: Vec<KernelInterface>,
    /// By kernel interface.
    pub(super) counters: Vec<Arc<HostCounters>>,
    pub(super) requests: Sender<HostRequest>,
    pub(super) reports: Receiver<HostReport>,
    pub(super) copies: Producer<(InterfaceId, F)>,
}

impl<F: Frame> KernelLink<F> {
    /// The kernel interfaces with their counters.
    pub fn interfaces(&self) -> impl Iterator<Item = (&KernelInterface, &HostCounters)> {
        self.interfaces.iter().zip(self.counters.iter().map(|counters| &**counters))
    }

    pub fn has(&self, interface: InterfaceId) -> bool {
        self.interfaces.iter().any(|kernel| kernel.interface == interface)
    }

    /// Asks the kernel-port thread, and does not wait for it.
    pub fn ask(&self, request: HostRequest) {
        // The thread ends with the process only.
        let _ = self.requests.send(request);
    }

    /// The next report.
    pub fn report(&self) -> Option<HostReport> {
        self.reports.try_recv().ok()
    }

    /// Gives the host a copy of a received frame. `frame`: an empty one. Without room the copy is lost, as on a busy link.
    pub fn copy(&mut self, interface: InterfaceId, bytes: &[u8], frame: F) {
        if let Some(copy) = filled(bytes, frame) {
            let _ = self.copies.push((interface, copy));
        }
    }
}
