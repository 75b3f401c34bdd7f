//! A pool of mbufs: fixed-size buffers on one NUMA node.

use super::eal::Running;
use super::{Eal, Error, Mbuf, Result};
use dpdk_sys::rte_mempool;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;

/// Data room for one frame behind the headroom, in bytes: enough for Ethernet without jumbo frames, and a power of two that
/// every NIC accepts as buffer size.
pub const DATA_ROOM: u16 = 2048;

/// Buffers in the cache of each lcore, so that most allocations and frees do not touch the shared ring.
const CACHE: u32 = 256;

/// A pool of mbufs. The queues that allocate from it share it by `Arc`.
#[derive(Debug)]
pub struct Mempool {
    pool: NonNull<rte_mempool>,
    data_room: u16,
    running: Arc<Running>,
}

// SAFETY: every operation on the pool is safe from many threads: lcores work on caches of their own,
// other threads on the shared ring, which takes many producers and consumers.
unsafe impl Send for Mempool {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// `count` mbufs with [`DATA_ROOM`] and DPDK's headroom on NUMA node `socket` (`None`: any).
    /// One less than a power of two wastes the least memory. `name` must be unique, 26 bytes long
    /// at most.
    ///
    /// # Errors
    /// No memory, or the name is taken.
    pub fn new(eal: &Eal, name: &str, count: u32, socket: Option<u32>) -> Result<Arc<Mempool>> {
        Mempool::with_data_room(eal, name, count, DATA_ROOM, socket)
    }

    /// As [`Mempool::new`], with all mbufs contiguous in memory. AF_XDP registers a pool by its start and the size of an
    /// mbuf, so it loses an mbuf behind a gap when it first uses it. Without hugepages each page ends with a gap. Only for
    /// devices without DMA.
    ///
    /// # Errors
    /// No memory in one piece, or the name is taken.
    pub fn packed(eal: &Eal, name: &str, count: u32, socket: Option<u32>) -> Result<Arc<Mempool>> {
        let create = dpdk_sys::director_packed_pool_create;
        Mempool::create(eal, name, count, DATA_ROOM, |name, cache, room| {
            // SAFETY: the EAL runs, the name is NUL-terminated and copied by DPDK.
            unsafe { create(name.as_ptr(), count, cache, room, socket_id(socket)) }
        })
    }

    /// As [`Mempool::new`], for frames of up to `data_room` bytes.
    ///
    /// # Errors
    /// No memory, or the name is taken.
    pub fn with_data_room(
        eal: &Eal,
        name: &str,
        count: u32,
        data_room: u16,
        socket: Option<u32>,
    ) -> Result<Arc<Mempool>> {
        Mempool::create(eal, name, count, data_room, |name, cache, room| {
            let (name, socket) = (name.as_ptr(), socket_id(socket));
            // SAFETY: the EAL runs, the name is NUL-terminated and copied by DPDK.
            unsafe { dpdk_sys::rte_pktmbuf_pool_create(name, count, cache, 0, room, socket) }
        })
    }

    fn create(
        eal: &Eal,
        name: &str,
        count: u32,
        data_room: u16,
        create: impl FnOnce(&CStr, u32, u16) -> *mut rte_mempool,
    ) -> Result<Arc<Mempool>> {
        let c_name = CString::new(name)
            .map_err(|_| Error::NulByte { what: "mempool name", text: name.to_owned() })?;
        // A pool must be half as large again as what the caches may hide.
        let cache = CACHE.min(count * 2 / 3);
        let room = data_room.saturating_add(dpdk_sys::RTE_PKTMBUF_HEADROOM as u16);
        let pool = NonNull::new(create(&c_name, cache, room))
            .ok_or_else(|| Error::last(format!("mempool {name} of {count} mbufs")))?;
        Ok(Arc::new(Mempool { pool, data_room, running: eal.running() }))
    }

    /// An empty mbuf with headroom; `None` if all are in use.
    #[inline]
    pub fn allocate(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives; a new mbuf belongs to its allocator.
        unsafe {
            NonNull::new(dpdk_sys::director_mbuf_alloc(self.pool.as_ptr()))
                .map(|mbuf| Mbuf::from_raw(mbuf))
        }
    }

    /// Number of free mbufs. Walks the caches of all lcores: not for the packet path.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives; the count only reads it.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// Total number of mbufs.
    pub fn size(&self) -> u32 {
        // SAFETY: the pool lives; its size never changes.
        unsafe { dpdk_sys::director_mempool_size(self.pool.as_ptr()) }
    }

    /// Bytes of a frame that fit behind the headroom.
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *mut rte_mempool {
        self.pool.as_ptr()
    }
}

/// DPDK's number for a NUMA node; -1: any.
fn socket_id(socket: Option<u32>) -> i32 {
    socket.map_or(-1, |socket| socket as i32)
}

impl Drop for Mempool {
    fn drop(&mut self) {
        if self.available() == self.size() {
            // SAFETY: every mbuf is back, so nothing points into the pool any more.
            unsafe { dpdk_sys::rte_mempool_free(self.pool.as_ptr()) }
        } else {
            // An mbuf is still in use: the memory, and with it the EAL, stays until the process ends.
            self.running.keep_memory();
        }
    }
}
