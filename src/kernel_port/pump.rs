//! Moves frames between the workers and the devices of the host.

use super::settings::KernelInterface;
use crate::io::Frame;
use crate::limits::BURST;
use crate::model::{InterfaceId, PortId};
use crate::packet::ethernet::ETHERNET;
use crate::worker::HostRings;
use rtrb::Consumer;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Room for a VLAN tag before the longest packet.
const TAG: usize = 4;

/// An Ethernet device of the host. No call waits.
pub(super) trait Device {
    /// Reads one frame that the host sends; `None`: none waits.
    ///
    /// # Errors
    /// The device is gone.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Gives the host one frame.
    ///
    /// # Errors
    /// The device did not take it.
    fn send(&mut self, frame: &[u8]) -> Result<(), SendError>;
}

/// Why a device did not take a frame.
#[derive(Debug)]
pub(super) enum SendError {
    /// It is full or down, or the frame is not valid.
    Refused,
    /// It does not exist any more.
    Lost(io::Error),
}

/// Counters of one kernel interface, written by the kernel-port thread.
#[derive(Debug, Default)]
pub struct HostCounters {
    pub to_host_packets: AtomicU64,
    pub to_host_bytes: AtomicU64,
    /// Frames that the device did not take: it is full, down or gone.
    pub to_host_dropped: AtomicU64,
    pub from_host_packets: AtomicU64,
    pub from_host_bytes: AtomicU64,
    /// Frames of the host that were dropped: no buffer, or the worker's ring is full.
    pub from_host_dropped: AtomicU64,
    /// The device exists.
    pub is_there: AtomicBool,
    /// The port's link is up.
    pub is_link_up: AtomicBool,
}

/// One kernel interface.
struct End<D> {
    interface: InterfaceId,
    port: PortId,
    /// The worker that sends the host's frames: one only, so that they stay in order.
    worker: usize,
    device: Option<D>,
    counters: Arc<HostCounters>,
    /// Maximum bytes of a frame.
    frame_max: usize,
}

/// All devices, and the thread's ends of all rings.
pub(super) struct Pump<F, D> {
    ends: Vec<End<D>>,
    /// By worker.
    rings: Vec<HostRings<F>>,
    /// Copies of frames that the control thread has handled.
    copies: Consumer<(InterfaceId, F)>,
    buffer: Vec<u8>,
}

/// A device that was lost, by its place among the kernel interfaces.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) at: usize,
    pub(super) error: io::Error,
}

impl<F: Frame, D: Device> Pump<F, D> {
    pub(super) fn new(
        interfaces: &[KernelInterface],
        rings: Vec<HostRings<F>>,
        copies: Consumer<(InterfaceId, F)>,
    ) -> Self {
        let ends = interfaces.iter().enumerate().map(|(at, kernel)| End {
            interface: kernel.interface,
            port: kernel.port,
            worker: at % rings.len().max(1),
            device: None,
            counters: Arc::default(),
            frame_max: ETHERNET + TAG + usize::from(kernel.mtu),
        });
        let ends: Vec<End<D>> = ends.collect();
        let longest = ends.iter().map(|end| end.frame_max).max().unwrap_or(0);
        Pump { ends, rings, copies, buffer: vec![0; longest] }
    }

    /// By kernel interface.
    pub(super) fn counters(&self) -> Vec<Arc<HostCounters>> {
        self.ends.iter().map(|end| Arc::clone(&end.counters)).collect()
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = Option<&D>> {
        self.ends.iter().map(|end| end.device.as_ref())
    }

    /// Replaces the device of a kernel interface.
    pub(super) fn set_device(&mut self, at: usize, device: Option<D>) {
        if let Some(end) = self.ends.get_mut(at) {
            end.counters.is_there.store(device.is_some(), Relaxed);
            end.device = device;
        }
    }

    pub(super) fn set_link(&self, at: usize, is_up: bool) {
        if let Some(end) = self.ends.get(at) {
            end.counters.is_link_up.store(is_up, Relaxed);
        }
    }

    /// Moves at most a burst of every ring and device. Returns the number of frames, and the devices that were lost.
    pub(super) fn run(
        &mut self,
        mut allocate: impl FnMut(PortId) -> Option<F>,
    ) -> (usize, Vec<Loss>) {
        let mut losses = Vec::new();
        let mut moved = 0;
        let Pump { ends, rings, copies, buffer } = self;
        let from_workers = rings.iter_mut().map(|ring| &mut ring.from_worker);
        for ring in from_workers.chain([&mut *copies]) {
            for _ in 0..BURST {
                let Ok((interface, frame)) = ring.pop() else { break };
                moved += 1;
                deliver(ends, interface, &frame, &mut losses);
            }
        }
        for (at, end) in ends.iter_mut().enumerate() {
            let Some(ring) = rings.get_mut(end.worker) else { continue };
            for _ in 0..BURST {
                let Some(device) = &mut end.device else { break };
                let Some(room) = buffer.get_mut(..end.frame_max) else { break };
                let length = match device.receive(room) {
                    Ok(Some(length)) => length,
                    Ok(None) => break,
                    Err(error) => {
                        losses.push(Loss { at, error });
                        end.device = None;
                        end.counters.is_there.store(false, Relaxed);
                        break;
                    }
                };
                moved += 1;
                let frame = room.get(..length).and_then(|bytes| filled(bytes, allocate(end.port)?));
                let sent =
                    frame.is_some_and(|frame| ring.to_worker.push((end.port, frame)).is_ok());
                let counters = &end.counters;
                match sent {
                    true => {
                        counters.from_host_packets.fetch_add(1, Relaxed);
                        counters.from_host_bytes.fetch_add(length as u64, Relaxed);
                    }
                    false => {
                        counters.from_host_dropped.fetch_add(1, Relaxed);
                    }
                }
            }
        }
        (moved, losses)
    }
}

/// Gives a frame to the host's device of the interface.
fn deliver<F: Frame, D: Device>(
    ends: &mut [End<D>],
    interface: InterfaceId,
    frame: &F,
    losses: &mut Vec<Loss>,
) {
    let Some((at, end)) = ends.iter_mut().enumerate().find(|(_, end)| end.interface == interface)
    else {
        return;
    };
    let outcome = match &mut end.device {
        Some(device) => device.send(frame.bytes()),
        None => Err(SendError::Refused),
    };
    let counters = &end.counters;
    if outcome.is_ok() {
        counters.to_host_packets.fetch_add(1, Relaxed);
        counters.to_host_bytes.fetch_add(frame.bytes().len() as u64, Relaxed);
        return;
    }
    counters.to_host_dropped.fetch_add(1, Relaxed);
    if let Err(SendError::Lost(error)) = outcome {
        losses.push(Loss { at, error });
        counters.is_there.store(false, Relaxed);
        end.device = None;
    }
}

/// The frame with these bytes; `None` if it is too small.
pub(super) fn filled<F: Frame>(bytes: &[u8], mut frame: F) -> Option<F> {
    frame.truncate(0);
    if !frame.append(bytes.len()) {
        return None;
    }
    frame.bytes_mut().copy_from_slice(bytes);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFrame;
    use crate::limits::HOST_RING;
    use rtrb::{Producer, RingBuffer};
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Fake(Rc<RefCell<Wire>>);

    #[derive(Default)]
    struct Wire {
        from_host: VecDeque<Vec<u8>>,
        to_host: Vec<Vec<u8>>,
        is_full: bool,
        is_gone: bool,
    }

    impl Device for Fake {
        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
            let mut wire = self.0.borrow_mut();
            if wire.is_gone {
                return Err(io::ErrorKind::NotFound.into());
            }
            let Some(frame) = wire.from_host.pop_front() else { return Ok(None) };
            buffer[..frame.len()].copy_from_slice(&frame);
            Ok(Some(frame.len()))
        }

        fn send(&mut self, frame: &[u8]) -> Result<(), SendError> {
            let mut wire = self.0.borrow_mut();
            match (wire.is_gone, wire.is_full) {
                (true, _) => Err(SendError::Lost(io::ErrorKind::NotFound.into())),
                (false, true) => Err(SendError::Refused),
                (false, false) => {
                    wire.to_host.push(frame.to_vec());
                    Ok(())
                }
            }
        }
    }

    type Way = Producer<(InterfaceId, MemoryFrame)>;
    type Back = Consumer<(PortId, MemoryFrame)>;

    struct Bed {
        pump: Pump<MemoryFrame, Fake>,
        devices: Vec<Fake>,
        to_host: Vec<Way>,
        from_host: Vec<Back>,
        copies: Way,
    }

    /// Kernel interfaces on interfaces 1 and 3, ports 5 and 7, and two workers.
    fn bed() -> Bed {
        let interfaces = [(1, 5), (3, 7)].map(|(interface, port)| KernelInterface {
            interface: InterfaceId(interface),
            port: PortId(port),
            name: format!("k{interface}"),
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
        });
        let (mut to_host, mut from_host, mut rings) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2 {
            let (way, from_worker) = RingBuffer::new(HOST_RING);
            let (to_worker, back) = RingBuffer::new(4);
            to_host.push(way);
            from_host.push(back);
            rings.push(HostRings { from_worker, to_worker });
        }
        let (copies, end) = RingBuffer::new(8);
        let mut pump = Pump::new(&interfaces, rings, end);
        let devices = vec![Fake::default(), Fake::default()];
        for (at, device) in devices.iter().enumerate() {
            pump.set_device(at, Some(device.clone()));
        }
        Bed { pump, devices, to_host, from_host, copies }
    }

    fn empty(_: PortId) -> Option<MemoryFrame> {
        Some(MemoryFrame::new(&[]))
    }

    #[test]
    fn frames_reach_the_device_of_their_interface() {
        let mut bed = bed();
        let frame = |last| MemoryFrame::new(&[last; 60]);
        bed.to_host[0].push((InterfaceId(3), frame(1))).unwrap();
        bed.to_host[1].push((InterfaceId(1), frame(2))).unwrap();
        bed.copies.push((InterfaceId(3), frame(3))).unwrap();
        // An interface without a kernel interface.
        bed.to_host[1].push((InterfaceId(0), frame(4))).unwrap();
        assert_eq!(bed.pump.run(empty).0, 4);
        let got = |at: usize| bed.devices[at].0.borrow().to_host.clone();
        assert_eq!((got(0), got(1)), (vec![vec![2; 60]], vec![vec![1; 60], vec![3; 60]]));
        let counters = bed.pump.counters();
        assert_eq!(counters[1].to_host_packets.load(Relaxed), 2);
        assert_eq!(counters[1].to_host_bytes.load(Relaxed), 120);
    }

    #[test]
    fn frames_of_the_host_leave_by_their_port_in_order() {
        let mut bed = bed();
        for (device, first) in bed.devices.iter().zip([10, 20]) {
            device.0.borrow_mut().from_host =
                (first..first + 3).map(|byte| vec![byte; 60]).collect();
        }
        assert_eq!(bed.pump.run(empty).0, 6);
        for (worker, (port, first)) in [(5, 10), (7, 20)].into_iter().enumerate() {
            for byte in first..first + 3 {
                let sent = bed.from_host[worker].pop().unwrap();
                assert_eq!(sent, (PortId(port), MemoryFrame::new(&[byte; 60])));
            }
        }
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut bed = bed();
        let counters = bed.pump.counters();
        // The ring to the worker has room for four.
        bed.devices[0].0.borrow_mut().from_host = (0..6).map(|byte| vec![byte; 60]).collect();
        bed.pump.run(empty);
        assert_eq!(counters[0].from_host_packets.load(Relaxed), 4);
        assert_eq!(counters[0].from_host_dropped.load(Relaxed), 2);
        // No buffer.
        bed.devices[1].0.borrow_mut().from_host.push_back(vec![0; 60]);
        bed.pump.run(|_| None);
        assert_eq!(counters[1].from_host_dropped.load(Relaxed), 1);
        // A full device.
        bed.devices[1].0.borrow_mut().is_full = true;
        bed.to_host[0].push((InterfaceId(3), MemoryFrame::new(&[1; 60]))).unwrap();
        let (_, losses) = bed.pump.run(empty);
        assert!(losses.is_empty());
        assert_eq!(counters[1].to_host_dropped.load(Relaxed), 1);
    }

    #[test]
    fn a_lost_device_is_reported_once_and_others_go_on() {
        let mut bed = bed();
        bed.devices[0].0.borrow_mut().is_gone = true;
        bed.devices[1].0.borrow_mut().from_host.push_back(vec![7; 60]);
        bed.to_host[0].push((InterfaceId(1), MemoryFrame::new(&[1; 60]))).unwrap();
        let (_, losses) = bed.pump.run(empty);
        assert_eq!(losses.iter().map(|loss| loss.at).collect::<Vec<_>>(), [0]);
        assert_eq!(bed.from_host[1].pop().unwrap().0, PortId(7));
        let (_, losses) = bed.pump.run(empty);
        assert!(losses.is_empty());
        let counters = bed.pump.counters();
        assert!(!counters[0].is_there.load(Relaxed) && counters[1].is_there.load(Relaxed));
        bed.pump.set_device(0, Some(Fake::default()));
        assert!(counters[0].is_there.load(Relaxed));
    }
}
