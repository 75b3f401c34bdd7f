//! One owned frame in DPDK's memory. It returns to its mempool on drop.
//!
//! Reading and resizing touch only the first cache line of the mbuf. For a frame in several segments only the first segment
//! is visible; ingress drops it by [`Frame::is_contiguous`].

use crate::io::{Burst, Frame};
use dpdk_sys::{DIRECTOR_RX_RSS_HASH, director_mbuf_head, rte_mbuf};
use std::fmt;
use std::ptr::NonNull;
use std::slice;

/// An mbuf with exactly one owner.
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: the holder of the pointer owns the mbuf, DPDK binds it to no thread, and any thread may return it to its
// mempool (whose ring has many producers).
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes ownership.
    ///
    /// # Safety
    /// `mbuf` came from a mempool or a device, is the head of its chain, and has no other holder.
    #[inline]
    pub(super) unsafe fn from_raw(mbuf: NonNull<rte_mbuf>) -> Mbuf {
        Mbuf(mbuf)
    }

    /// Frees a whole burst with one mempool operation.
    #[inline]
    pub fn free_all(burst: &mut Burst<Mbuf>) {
        let count = burst.len();
        if count == 0 {
            return;
        }
        // SAFETY: `Mbuf` is a transparent pointer, so the burst is an array of `count` mbufs owned
        // by us; its length is cut first, so none is dropped a second time.
        unsafe {
            burst.set_len(0);
            dpdk_sys::rte_pktmbuf_free_bulk(burst.as_mut_ptr().cast(), count as u32);
        }
    }

    /// Bytes that [`Frame::prepend`] can still take.
    #[inline]
    pub fn headroom(&self) -> usize {
        usize::from(self.head().data_off)
    }

    /// Bytes that [`Frame::append`] can still take.
    #[inline]
    pub fn tailroom(&self) -> usize {
        let head = self.head();
        usize::from(head.buf_len)
            .saturating_sub(usize::from(head.data_off) + usize::from(head.data_len))
    }

    #[inline]
    fn head(&self) -> &director_mbuf_head {
        // SAFETY: the pointer is a live mbuf of ours; shim.c asserts that its first cache line is
        // laid out as `director_mbuf_head`.
        unsafe { self.0.cast().as_ref() }
    }

    #[inline]
    fn head_mut(&mut self) -> &mut director_mbuf_head {
        // SAFETY: as in `head`, and we are its only owner.
        unsafe { self.0.cast().as_mut() }
    }

    #[inline]
    fn data(&self) -> *mut u8 {
        let head = self.head();
        // SAFETY: the data offset lies within the mbuf's buffer: the driver and the methods here
        // keep it so.
        unsafe { head.buf_addr.cast::<u8>().add(usize::from(head.data_off)) }
    }

    #[cold]
    fn truncate_chain(&mut self, length: u32) {
        // SAFETY: we own the whole chain; the shim frees only what is behind the cut.
        unsafe { dpdk_sys::director_mbuf_truncate_chain(self.0.as_ptr(), length) }
    }
}

impl Frame for Mbuf {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `data_len` bytes from `data` lie within the buffer, which lives and is ours as
        // long as the mbuf; mempool memory is mapped and filled from the start.
        unsafe { slice::from_raw_parts(self.data(), usize::from(self.head().data_len)) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes us its only user.
        unsafe { slice::from_raw_parts_mut(self.data(), usize::from(self.head().data_len)) }
    }

    #[inline]
    fn prepend(&mut self, count: usize) -> bool {
        let head = self.head_mut();
        let fits = count <= usize::from(head.data_off);
        if fits {
            head.data_off -= count as u16;
            head.data_len += count as u16;
            head.pkt_len += count as u32;
        }
        fits
    }

    #[inline]
    fn trim_front(&mut self, count: usize) -> bool {
        let head = self.head_mut();
        let fits = count <= usize::from(head.data_len);
        if fits {
            head.data_off += count as u16;
            head.data_len -= count as u16;
            head.pkt_len -= count as u32;
        }
        fits
    }

    #[inline]
    fn truncate(&mut self, length: usize) {
        let head = self.head_mut();
        if length >= head.pkt_len as usize {
            return;
        }
        if head.nb_segs == 1 {
            // Shorter than the frame, hence than 64 KiB: one segment holds no more.
            head.data_len = length as u16;
            head.pkt_len = length as u32;
        } else {
            self.truncate_chain(length as u32);
        }
    }

    #[inline]
    fn append(&mut self, count: usize) -> bool {
        let fits = count <= self.tailroom() && self.is_contiguous();
        if fits {
            let head = self.head_mut();
            head.data_len += count as u16;
            head.pkt_len += count as u32;
        }
        fits
    }

    #[inline]
    fn is_contiguous(&self) -> bool {
        self.head().nb_segs == 1
    }

    #[inline]
    fn rss_hash(&self) -> Option<u32> {
        let head = self.head();
        (head.ol_flags & DIRECTOR_RX_RSS_HASH != 0).then_some(head.hash_rss)
    }

    #[inline]
    fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch is a hint; it faults on no address.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.data().cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: a prefetch is a hint; it faults on no address.
        unsafe {
            core::arch::asm!("prfm pldl1keep, [{}]", in(reg) self.data(),
                options(nostack, readonly, preserves_flags));
        }
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the mbuf is ours and not used again.
        unsafe { dpdk_sys::director_mbuf_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.head();
        formatter
            .debug_struct("Mbuf")
            .field("length", &head.pkt_len)
            .field("segments", &head.nb_segs)
            .field("headroom", &head.data_off)
            .finish_non_exhaustive()
    }
}
