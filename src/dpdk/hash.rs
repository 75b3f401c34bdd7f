//! DPDK's cuckoo hash table, looked up a burst of keys at a time: what the connection table is measured against.

use super::eal::Running;
use super::error::check;
use super::{Eal, Error, Result};
use dpdk_sys::rte_hash;
use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

/// From keys of `KEY` bytes, hashed as the library does (x86: CRC-32C), to a number each. It has no locks: writing takes `&mut`.
#[derive(Debug)]
pub struct HashTable<const KEY: usize> {
    table: NonNull<rte_hash>,
    /// The table lies in the EAL's memory.
    _running: Arc<Running>,
}

// SAFETY: a table made without concurrency flags is bound to no thread; nothing else refers to it.
unsafe impl<const KEY: usize> Send for HashTable<KEY> {}
// SAFETY: shared access only looks keys up, which writes nothing to the table.
unsafe impl<const KEY: usize> Sync for HashTable<KEY> {}

impl<const KEY: usize> HashTable<KEY> {
    /// Most keys of one [`HashTable::find`].
    pub const FIND_MAX: usize = dpdk_sys::RTE_HASH_LOOKUP_BULK_MAX as usize;

    /// A table with room for `entries` keys on NUMA node `socket` (`None`: any). `name` must be unique, 26 bytes
    /// long at most.
    ///
    /// # Errors
    /// No memory, the name is taken, or there are fewer than 8 or more than 2^30 entries.
    pub fn new(eal: &Eal, name: &str, entries: u32, socket: Option<u32>) -> Result<Self> {
        let c_name = CString::new(name)
            .map_err(|_| Error::NulByte { what: "hash table name", text: name.to_owned() })?;
        let socket = socket.map_or(-1, |socket| socket as i32);
        // SAFETY: the EAL runs, the name is NUL-terminated and copied by DPDK.
        let table =
            unsafe { dpdk_sys::director_hash_create(c_name.as_ptr(), entries, KEY as u32, socket) };
        let table = NonNull::new(table)
            .ok_or_else(|| Error::last(format!("hash table {name} of {entries} entries")))?;
        Ok(HashTable { table, _running: eal.running() })
    }

    /// Adds `key`, or gives it another `value` if it is there.
    ///
    /// # Errors
    /// The table is full.
    pub fn insert(&mut self, key: &[u8; KEY], value: usize) -> Result<()> {
        // SAFETY: the table lives and copies `KEY` bytes of the key; the value is a number that the table keeps
        // in a pointer's place and never follows.
        let outcome = unsafe {
            dpdk_sys::rte_hash_add_key_data(
                self.table.as_ptr(),
                key.as_ptr().cast(),
                value as *mut c_void,
            )
        };
        check(outcome, || "hash table insert".to_owned()).map(|_| ())
    }

    /// Takes `key` out. False if it was not there.
    pub fn remove(&mut self, key: &[u8; KEY]) -> bool {
        // SAFETY: the table lives and reads `KEY` bytes of the key.
        unsafe { dpdk_sys::rte_hash_del_key(self.table.as_ptr(), key.as_ptr().cast()) >= 0 }
    }

    /// Looks all `keys` up, their memory accesses overlapping. Returns which were found, as a bit each, lowest
    /// first; the values of those are in the same places of `values`, the other places stay as they were.
    ///
    /// # Panics
    /// More than [`HashTable::FIND_MAX`] keys, or fewer values than keys.
    #[inline]
    pub fn find(&self, keys: &[&[u8; KEY]], values: &mut [usize]) -> u64 {
        assert!(keys.len() <= Self::FIND_MAX && values.len() >= keys.len());
        if keys.is_empty() {
            return 0;
        }
        let mut found = 0;
        // SAFETY: the table lives; references to keys are pointers to `KEY` bytes each, which are only read; the
        // values have room for as many numbers of a pointer's size. The call fails only for a wrong count, which
        // was checked.
        unsafe {
            dpdk_sys::rte_hash_lookup_bulk_data(
                self.table.as_ptr(),
                keys.as_ptr().cast_mut().cast(),
                keys.len() as u32,
                &mut found,
                values.as_mut_ptr().cast(),
            );
        }
        found
    }

    /// Keys in the table.
    pub fn len(&self) -> usize {
        // SAFETY: the table lives; the count only reads it.
        unsafe { dpdk_sys::rte_hash_count(self.table.as_ptr()) as usize }
    }

    /// No key in the table.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<const KEY: usize> Drop for HashTable<KEY> {
    fn drop(&mut self) {
        // SAFETY: nothing else refers to the table.
        unsafe { dpdk_sys::rte_hash_free(self.table.as_ptr()) }
    }
}
