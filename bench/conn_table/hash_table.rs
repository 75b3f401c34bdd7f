//! DPDK's cuckoo hash table with lookups in bulk.

use director::dpdk::Eal;
use dpdk_sys::rte_hash;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Maps keys of `KEY` bytes, hashed as the library does (x86: CRC-32C), to numbers. It has no locks: writing takes
/// `&mut`.
pub struct HashTable<'e, const KEY: usize> {
    table: NonNull<rte_hash>,
    /// The table, in the EAL's memory.
    _eal: PhantomData<&'e Eal>,
}

impl<'e, const KEY: usize> HashTable<'e, KEY> {
    /// Maximum number of keys of one [`HashTable::find`].
    pub const FIND_MAX: usize = dpdk_sys::RTE_HASH_LOOKUP_BULK_MAX as usize;

    /// Creates a table with room for `entries` keys.
    ///
    /// # Panics
    /// `entries` is below 8 or above 2^30, or memory is short.
    pub fn new(_: &'e Eal, entries: u32) -> Self {
        const ANY_SOCKET: i32 = -1;
        // SAFETY: the EAL runs, the name is NUL-terminated and copied by DPDK.
        let table = unsafe {
            dpdk_sys::director_hash_create(c"bench".as_ptr(), entries, KEY as u32, ANY_SOCKET)
        };
        HashTable { table: NonNull::new(table).expect("memory for the table"), _eal: PhantomData }
    }

    /// Adds `key`, or changes its `value` if it exists.
    ///
    /// # Panics
    /// If the table is full.
    pub fn insert(&mut self, key: &[u8; KEY], value: usize) {
        // SAFETY: the table lives and copies `KEY` bytes of the key; the value is a number that the table stores as a
        // pointer and never dereferences.
        let outcome = unsafe {
            dpdk_sys::rte_hash_add_key_data(
                self.table.as_ptr(),
                key.as_ptr().cast(),
                value as *mut c_void,
            )
        };
        assert!(outcome >= 0, "the table is full");
    }

    /// Removes `key`; false if it did not exist.
    pub fn remove(&mut self, key: &[u8; KEY]) -> bool {
        // SAFETY: the table lives and reads `KEY` bytes of the key.
        unsafe { dpdk_sys::rte_hash_del_key(self.table.as_ptr(), key.as_ptr().cast()) >= 0 }
    }

    /// Looks up all `keys` with overlapping memory accesses. Returns a bit mask of those found, lowest bit first, and
    /// stores their values at the same index of `values`; other values are unchanged.
    ///
    /// # Panics
    /// If there are more than [`HashTable::FIND_MAX`] keys, or fewer values than keys.
    #[inline]
    pub fn find(&self, keys: &[&[u8; KEY]], values: &mut [usize]) -> u64 {
        assert!(keys.len() <= Self::FIND_MAX && values.len() >= keys.len());
        if keys.is_empty() {
            return 0;
        }
        let mut found = 0;
        // SAFETY: the table lives; references to keys are pointers to `KEY` bytes each, which are only read; the values
        // have room for as many pointer-sized numbers. The call fails only for a wrong count, which was checked.
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

    /// True if the table has no keys.
    pub fn is_empty(&self) -> bool {
        // SAFETY: the table lives; the count only reads it.
        unsafe { dpdk_sys::rte_hash_count(self.table.as_ptr()) == 0 }
    }
}

impl<const KEY: usize> Drop for HashTable<'_, KEY> {
    fn drop(&mut self) {
        // SAFETY: nothing else refers to the table.
        unsafe { dpdk_sys::rte_hash_free(self.table.as_ptr()) }
    }
}
