//! A queue of mbufs from one thread to another: DPDK's ring with one producer and one consumer.

use super::eal::Running;
use super::{Eal, Error, Mbuf, Result};
use crate::io::Burst;
use dpdk_sys::rte_ring;
use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// The end that puts mbufs in.
#[derive(Debug)]
pub struct RingProducer(Arc<Ring>);

/// The end that takes mbufs out.
#[derive(Debug)]
pub struct RingConsumer(Arc<Ring>);

#[derive(Debug)]
struct Ring {
    ring: NonNull<rte_ring>,
    /// The ring lies in the EAL's memory.
    _running: Arc<Running>,
}

// SAFETY: DPDK's ring is made for one producing and one consuming thread; there is one value of each
// end, and both need `&mut` for their side.
unsafe impl Send for Ring {}
// SAFETY: as for `Send`: shared by the two ends only, each on its own side.
unsafe impl Sync for Ring {}

/// A ring of `capacity` mbufs on NUMA node `socket` (`None`: any). `name` must be unique, 28 bytes
/// long at most.
///
/// # Errors
/// No memory, or the name is taken.
pub fn ring(
    eal: &Eal,
    name: &str,
    capacity: u32,
    socket: Option<u32>,
) -> Result<(RingProducer, RingConsumer)> {
    let c_name = CString::new(name)
        .map_err(|_| Error::NulByte { what: "ring name", text: name.to_owned() })?;
    let socket = socket.map_or(-1, |socket| socket as i32);
    // SAFETY: the EAL runs, the name is NUL-terminated and copied by DPDK.
    let ring = unsafe { dpdk_sys::director_ring_create(c_name.as_ptr(), capacity, socket) };
    let ring = NonNull::new(ring)
        .ok_or_else(|| Error::last(format!("ring {name} of {capacity} mbufs")))?;
    let ring = Arc::new(Ring { ring, _running: eal.running() });
    Ok((RingProducer(Arc::clone(&ring)), RingConsumer(ring)))
}

impl RingProducer {
    /// Puts in from the front of `burst`; what finds no room stays, in order.
    #[inline]
    pub fn send(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        // SAFETY: the burst is an array of `held` mbuf pointers; the ring owns the first `count`
        // from here on, the others move to the front. This is the ring's only producer.
        unsafe {
            let frames = burst.as_mut_ptr();
            let count =
                dpdk_sys::director_ring_enqueue(self.0.as_ptr(), frames.cast(), held as u32);
            let sent = count as usize;
            if sent != 0 && sent != held {
                ptr::copy(frames.add(sent), frames, held - sent);
            }
            burst.set_len(held - sent);
        }
    }

    /// Mbufs it can hold.
    pub fn capacity(&self) -> u32 {
        // SAFETY: the ring lives; its capacity never changes.
        unsafe { dpdk_sys::director_ring_capacity(self.0.as_ptr()) }
    }
}

impl RingConsumer {
    /// Appends what is there, up to the room left in `burst`.
    #[inline]
    pub fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        let room = burst.remaining_capacity() as u32;
        // SAFETY: the unused tail of the burst is room for `room` mbuf pointers; the ring writes the
        // first `count` of them and gives them up. This is the ring's only consumer.
        unsafe {
            let tail = burst.as_mut_ptr().add(held).cast();
            let count = dpdk_sys::director_ring_dequeue(self.0.as_ptr(), tail, room);
            burst.set_len(held + count as usize);
        }
    }

    /// Mbufs in it now.
    #[inline]
    pub fn len(&self) -> u32 {
        // SAFETY: the ring lives; the count reads both ends' positions.
        unsafe { dpdk_sys::director_ring_count(self.0.as_ptr()) }
    }

    /// Nothing in it now.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Ring {
    #[inline]
    fn as_ptr(&self) -> *mut rte_ring {
        self.ring.as_ptr()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let mut frame = ptr::null_mut();
        // SAFETY: both ends are gone, so we are producer and consumer; each mbuf taken out is ours
        // to free, and after that nothing refers to the ring.
        unsafe {
            while dpdk_sys::director_ring_dequeue(self.as_ptr(), &mut frame, 1) == 1 {
                dpdk_sys::director_mbuf_free(frame);
            }
            dpdk_sys::rte_ring_free(self.as_ptr());
        }
    }
}
