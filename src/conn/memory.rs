//! Memory of a table, in huge pages if the system has them.
//!
//! The thread that will use the table maps and writes all memory when it creates the table. So the kernel places the
//! pages on that thread's NUMA node, and the packet path has no page faults.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

const HUGE_PAGE: usize = 2 << 20;
const PAGE: usize = 4096;

/// Reserved pages of size [`HUGE_PAGE`]. Without a size the kernel uses its default size: with `default_hugepagesz=1G`
/// each small table would take a gigabyte, and a length in units of 2 MiB could not be unmapped.
const RESERVED_PAGES: libc::c_int = libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;

/// The system does not have enough memory.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot map {megabytes} MiB for connections ({source}); lower connections per worker, or add memory"
)]
pub struct OutOfMemory {
    pub megabytes: usize,
    pub source: io::Error,
}

/// A fixed array of `T`s with its own mapping.
pub(super) struct Slab<T> {
    first: NonNull<T>,
    count: usize,
    mapping: NonNull<libc::c_void>,
    mapped: usize,
}

// SAFETY: a slab owns its mapping like a box owns its allocation, and nothing in it depends on a thread.
unsafe impl<T: Send> Send for Slab<T> {}
// SAFETY: shared access only reads `T`s.
unsafe impl<T: Sync> Sync for Slab<T> {}

impl<T: Copy> Slab<T> {
    /// Maps `count` (at least one) values and writes `value` to all of them.
    pub(super) fn new(count: usize, value: T) -> Result<Slab<T>, OutOfMemory> {
        const { assert!(align_of::<T>() <= PAGE && size_of::<T>() != 0) };
        let count = count.max(1);
        let bytes = count.saturating_mul(size_of::<T>());
        let failed = |source| OutOfMemory { megabytes: bytes.div_ceil(1 << 20), source };
        let (mapping, mapped) = map_aligned(bytes).map_err(failed)?;
        // A large slab begins at the first huge-page boundary of the mapping.
        let skip = match bytes < HUGE_PAGE {
            true => 0,
            false => mapping.as_ptr().align_offset(HUGE_PAGE),
        };
        let first = mapping.as_ptr().wrapping_byte_add(skip);
        #[expect(clippy::expect_used, reason = "an address inside a mapping is not zero")]
        let first: NonNull<T> =
            NonNull::new(first.cast()).expect("a mapping is not at address zero");
        for index in 0..count {
            // SAFETY: the mapping has room for `count` values from `first`, which is page-aligned.
            unsafe { first.add(index).write(value) };
        }
        Ok(Slab { first, count, mapping, mapped })
    }
}

/// Maps at least `bytes`. From the size of a huge page on the mapping contains a huge-page boundary, and uses reserved
/// huge pages, else transparent ones, else small pages. Returns the mapping and its length in bytes.
fn map_aligned(bytes: usize) -> io::Result<(NonNull<libc::c_void>, usize)> {
    if bytes < HUGE_PAGE {
        return Ok((map(bytes, 0)?, bytes));
    }
    let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
    let whole = bytes.checked_next_multiple_of(HUGE_PAGE).ok_or_else(too_large)?;
    if let Ok(mapping) = map(whole, RESERVED_PAGES) {
        return Ok((mapping, whole));
    }
    let padded = whole.checked_add(HUGE_PAGE).ok_or_else(too_large)?;
    let mapping = map(padded, 0)?;
    // SAFETY: the range is the new mapping, and advice changes no content. Without transparent huge pages it fails and
    // small pages are used.
    unsafe { libc::madvise(mapping.as_ptr(), padded, libc::MADV_HUGEPAGE) };
    Ok((mapping, padded))
}

fn map(bytes: usize, flags: libc::c_int) -> io::Result<NonNull<libc::c_void>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address chosen by the kernel affects no memory in use.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    match mapping {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        mapping => NonNull::new(mapping).ok_or_else(|| io::ErrorKind::OutOfMemory.into()),
    }
}

fn unmap(mapping: NonNull<libc::c_void>, bytes: usize) {
    // SAFETY: callers own the whole mapping and no longer use it.
    unsafe { libc::munmap(mapping.as_ptr(), bytes) };
}

impl<T> Deref for Slab<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `new` mapped `count` page-aligned values and wrote all of them.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T> DerefMut for Slab<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.count) }
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        unmap(self.mapping, self.mapped);
    }
}

/// Prefetches the cache line at `place`; never faults.
#[inline]
pub(super) fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint and may name any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filled_aligned_and_writable() {
        for count in [1, 511, 3 << 18] {
            let mut slab = Slab::<u64>::new(count, 5).unwrap();
            assert_eq!(slab.len(), count);
            assert!(slab.iter().all(|word| *word == 5));
            assert_eq!(slab.as_ptr().align_offset(PAGE), 0);
            slab[count - 1] = 7;
            assert_eq!(slab[count - 1], 7);
        }
    }

    /// mmap(2) expects the logarithm of the page size in bits 26 to 31.
    #[test]
    fn reserved_pages_are_requested_with_their_size() {
        assert_eq!(RESERVED_PAGES & libc::MAP_HUGETLB, libc::MAP_HUGETLB);
        assert_eq!(1usize << (RESERVED_PAGES >> libc::MAP_HUGE_SHIFT & 0x3f), HUGE_PAGE);
    }

    #[test]
    fn too_much_is_an_error() {
        let error = Slab::<u64>::new(1 << 58, 0).err().expect("mapping 2 EiB must fail");
        assert!(error.to_string().starts_with("cannot map 2199023255552 MiB for connections"));
        assert!(Slab::<u64>::new(usize::MAX, 0).is_err());
    }
}
