//! A vector in shared pages: cloning copies page pointers, writing copies one page.

use std::fmt;
use std::sync::Arc;

/// Elements of one page: small enough that copying one for a single edit costs microseconds.
const PAGE: usize = 64;

/// A growable table that snapshots share page by page.
pub struct Pages<T> {
    pages: Vec<Arc<[T; PAGE]>>,
}

impl<T: Copy + Default> Pages<T> {
    /// The element at `index`; the default where none was ever written.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pages.get(index / PAGE).map(|page| &page[index % PAGE])
    }

    /// Writes one element, growing the table with defaults as needed.
    pub fn set(&mut self, index: usize, value: T) {
        while self.pages.len() <= index / PAGE {
            self.pages.push(Arc::new([T::default(); PAGE]));
        }
        Arc::make_mut(&mut self.pages[index / PAGE])[index % PAGE] = value;
    }

    /// Slots there are, written or not.
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
    fn a_write_leaves_clones_as_they_were_and_shares_the_other_pages() {
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
