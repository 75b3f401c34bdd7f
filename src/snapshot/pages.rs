//! A vector in shared pages: cloning copies page pointers, writing copies one page.

use std::fmt;
use std::sync::Arc;

/// Elements of a page: few enough that copying it for one edit takes microseconds.
const PAGE: usize = 64;

/// A growable table whose pages are shared between snapshots.
pub struct Pages<T> {
    pages: Vec<Arc<[T; PAGE]>>,
}

impl<T: Copy + Default> Pages<T> {
    /// The element at `index`; the default if it was never written.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pages.get(index / PAGE).map(|page| &page[index % PAGE])
    }

    /// Writes one element and grows the table with defaults if needed.
    pub fn set(&mut self, index: usize, value: T) {
        while self.pages.len() <= index / PAGE {
            self.pages.push(Arc::new([T::default(); PAGE]));
        }
        Arc::make_mut(&mut self.pages[index / PAGE])[index % PAGE] = value;
    }

    /// Number of slots, written or not.
    pub fn len(&self) -> usize {
        self.pages.len() * PAGE
    }

    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages { pages: Vec::new() }
    }
}

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        Pages { pages: self.pages.clone() }
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pages({} pages)", self.pages.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_does_not_change_clones_and_shares_other_pages() {
        let mut pages = Pages::<u32>::default();
        pages.set(0, 1);
        pages.set(PAGE, 2);
        let before = pages.clone();
        pages.set(0, 9);
        assert_eq!((before.get(0), pages.get(0)), (Some(&1), Some(&9)));
        assert!(Arc::ptr_eq(&before.pages[1], &pages.pages[1]));
        assert_eq!(pages.get(2 * PAGE), None);
    }
}
