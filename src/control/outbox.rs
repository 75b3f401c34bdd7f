//! Sends the frames of the control thread through the workers, because the workers own the transmit queues.

use crate::host::Outbox;
use crate::model::{InterfaceId, PortId};
use crate::snapshot::Interfaces;
use crate::worker::Injection;
use rtrb::Producer;
use std::sync::Arc;

/// Frames of the host path, spread over the workers' injection rings.
pub(super) struct WorkerOutbox<'a, F, A> {
    pub(super) injections: &'a mut [Producer<Injection<F>>],
    /// The worker that is asked first: the one whose packet is answered, because it has the connection.
    pub(super) first: usize,
    pub(super) interfaces: Arc<Interfaces>,
    pub(super) allocate: A,
    /// Frames that found every ring full.
    pub(super) refused: &'a mut u64,
}

impl<F, A: FnMut(PortId) -> Option<F>> Outbox<F> for WorkerOutbox<'_, F, A> {
    fn allocate(&mut self, interface: InterfaceId) -> Option<F> {
        (self.allocate)(self.interfaces.get(interface)?.port)
    }

    fn send(&mut self, interface: InterfaceId, frame: F) {
        self.inject(interface, frame, false);
    }

    fn send_own_packet(&mut self, interface: InterfaceId, frame: F) {
        self.inject(interface, frame, true);
    }
}

impl<F, A> WorkerOutbox<'_, F, A> {
    /// Through the first worker that has room; a frame that finds none is lost, as on a busy link.
    fn inject(&mut self, interface: InterfaceId, frame: F, is_own_packet: bool) {
        let Some(port) = self.interfaces.get(interface).map(|entry| entry.port) else { return };
        let mut injection = Injection { port, frame, is_own_packet };
        let (before, from_first) = self.injections.split_at_mut(self.first);
        for ring in from_first.iter_mut().chain(before) {
            match ring.push(injection) {
                Ok(()) => return,
                Err(rtrb::PushError::Full(back)) => injection = back,
            }
        }
        *self.refused += 1;
    }
}
