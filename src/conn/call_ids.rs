//! The Call-IDs of SIP templates, for listings. Templates are found by a hash of the Call-ID.

use crate::packet::sip::CALL_ID_MAX;
use arrayvec::ArrayVec;

/// The texts of one shard. Room for one per template is reserved; memory is used only for existing texts.
pub(super) struct CallIds {
    texts: Vec<ArrayVec<u8, CALL_ID_MAX>>,
    vacant: Vec<u32>,
}

impl CallIds {
    pub(super) fn new(capacity: usize) -> Self {
        CallIds { texts: Vec::with_capacity(capacity), vacant: Vec::with_capacity(capacity) }
    }

    /// Stores a text and returns its number. The number is 0 for an empty text, or if the table is full.
    pub(super) fn keep(&mut self, text: &[u8]) -> u32 {
        let Ok(kept) = ArrayVec::try_from(text) else { return 0 };
        if text.is_empty() {
            return 0;
        }
        if let Some(number) = self.vacant.pop() {
            self.texts[number as usize - 1] = kept;
            return number;
        }
        if self.texts.len() == self.texts.capacity() {
            return 0;
        }
        self.texts.push(kept);
        self.texts.len() as u32
    }

    pub(super) fn text(&self, number: u32) -> &[u8] {
        let index = (number as usize).checked_sub(1);
        index.and_then(|index| self.texts.get(index)).map_or(&[], |text| text)
    }

    /// Frees the text.
    pub(super) fn release(&mut self, number: u32) {
        if number != 0 {
            self.vacant.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_stored_and_freed() {
        let mut texts = CallIds::new(2);
        let (one, two) = (texts.keep(b"one"), texts.keep(b"two"));
        assert_eq!((texts.text(one), texts.text(two)), (&b"one"[..], &b"two"[..]));
        assert_eq!(texts.keep(b"three"), 0, "no room");
        texts.release(one);
        let three = texts.keep(b"three");
        assert_eq!((three, texts.text(three)), (one, &b"three"[..]));
        assert_eq!((texts.keep(b""), texts.text(0)), (0, &b""[..]));
        assert_eq!(texts.keep(&[b'x'; CALL_ID_MAX + 1]), 0);
    }
}
