//! Which bytes of a datagram its fragments have brought, so that overlapping ones are dropped: a receiver and a filter on
//! the way could read them differently (RFC 1858, RFC 5722).

use crate::io::Frame;
use crate::limits::FRAGMENT_RANGES;
use crate::model::Family;
use crate::packet::ethernet::ETHERNET;
use crate::packet::ipv4::{FRAGMENT_OFFSET, MORE_FRAGMENTS};
use crate::packet::{Address, Fragment, Packet, ipv4, ipv6, wire};

/// The part of a datagram that one fragment has, in bytes of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    start: u16,
    end: u16,
    is_last: bool,
}

impl Piece {
    /// What a fragment has that was parsed to `packet` and not changed since. Parsing has refused one that ends beyond
    /// the longest datagram.
    pub(super) fn of<A: Address>(frame: &impl Frame, packet: &Packet<A>) -> Piece {
        let ip = &frame.bytes()[ETHERNET..];
        let header = usize::from(packet.header);
        let (start, more) = match (packet.fragment, A::FAMILY) {
            (Fragment::Later, Family::Ipv4) => {
                let word = ipv4::fragment_word(ip);
                ((word & FRAGMENT_OFFSET) * 8, word & MORE_FRAGMENTS != 0)
            }
            // The fragment header is the last one of the chain that was followed.
            (Fragment::Later, Family::Ipv6) => {
                let word = wire::get16(ip, header - ipv6::FRAGMENT_HEADER + 2);
                (word & 0xfff8, word & 1 != 0)
            }
            _ => (0, true),
        };
        let end = start.saturating_add(packet.length - packet.header);
        Piece { start, end, is_last: !more }
    }
}

/// Why a fragment does not fit its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It brings nothing new: a duplicate, as networks make them. The datagram goes on.
    Duplicate,
    /// It overlaps others, or contradicts the datagram's length. Nothing of the datagram is forwarded any more.
    Overlap,
    /// More gaps than are kept track of.
    TooManyGaps,
}

/// The bytes of a datagram that came, as ranges that do not touch each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    seen: [(u16, u16); FRAGMENT_RANGES],
    count: u8,
    /// Where the first fragment ended.
    first_end: u16,
    /// Length of the payload, once the last fragment has told it.
    total: Option<u16>,
}

impl Ranges {
    /// The datagram that `first` begins.
    pub(super) fn new(first: Piece) -> Ranges {
        let mut seen = [(0, 0); FRAGMENT_RANGES];
        seen[0] = (first.start, first.end);
        Ranges { seen, count: 1, first_end: first.end, total: None }
    }

    /// Another first fragment with the same identification is a duplicate or begins a new datagram. While this one is
    /// not complete it may not be of another length.
    pub(super) fn takes_first(&self, first: Piece) -> bool {
        let is_complete = self.count == 1 && self.total == Some(self.seen[0].1);
        is_complete || first.end == self.first_end
    }

    /// Takes note of a later fragment.
    ///
    /// # Errors
    /// It does not fit.
    pub(super) fn add(&mut self, piece: Piece) -> Result<(), Misfit> {
        let Piece { start, end, is_last } = piece;
        let seen = &self.seen[..usize::from(self.count)];
        if seen.iter().any(|range| range.0 <= start && end <= range.1) {
            return Err(Misfit::Duplicate);
        }
        let furthest = seen.iter().map(|range| range.1).max().unwrap_or(0);
        let is_beyond = self.total.is_some_and(|total| is_last || end > total);
        let overlaps = seen.iter().any(|range| range.0 < end && start < range.1);
        if overlaps || is_beyond || is_last && end < furthest {
            return Err(Misfit::Overlap);
        }
        let before = seen.iter().position(|range| range.1 == start);
        let after = seen.iter().position(|range| range.0 == end);
        match (before, after) {
            (Some(before), Some(after)) => {
                self.seen[before].1 = self.seen[after].1;
                self.count -= 1;
                self.seen[after] = self.seen[usize::from(self.count)];
            }
            (Some(before), None) => self.seen[before].1 = end,
            (None, Some(after)) => self.seen[after].0 = start,
            (None, None) => {
                let free = self.seen.get_mut(usize::from(self.count)).ok_or(Misfit::TooManyGaps)?;
                *free = (start, end);
                self.count += 1;
            }
        }
        if is_last {
            self.total = Some(end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(start: u16, end: u16, is_last: bool) -> Piece {
        Piece { start, end, is_last }
    }

    /// Start and end of a piece, whether it is the last one, and what is expected of it.
    type Step = (u16, u16, bool, Result<(), Misfit>);

    #[test]
    fn what_fits_and_what_does_not() {
        let fits = Ok(());
        let overlap = Err(Misfit::Overlap);
        let duplicate = Err(Misfit::Duplicate);
        // Each after a first fragment of 80 bytes and the pieces before it in its line.
        let lines: &[&[Step]] = &[
            &[(80, 160, false, fits), (160, 200, true, fits), (160, 200, true, duplicate)],
            &[(160, 200, true, fits), (80, 160, false, fits)],
            &[(72, 160, false, overlap)],
            &[(0, 40, false, duplicate), (40, 120, false, overlap)],
            &[(160, 240, false, fits), (80, 168, false, overlap)],
            &[(160, 240, false, fits), (80, 400, false, overlap)],
            &[(160, 200, true, fits), (200, 280, false, overlap)],
            &[(160, 200, true, fits), (208, 240, true, overlap)],
            &[(160, 240, false, fits), (80, 120, true, overlap)],
        ];
        for line in lines {
            let mut ranges = Ranges::new(piece(0, 80, false));
            for &(start, end, is_last, expected) in *line {
                assert_eq!(ranges.add(piece(start, end, is_last)), expected, "{line:?} {start}");
            }
        }
    }

    #[test]
    fn another_first_fragment() {
        let mut ranges = Ranges::new(piece(0, 80, false));
        assert!(
            ranges.takes_first(piece(0, 80, false)) && !ranges.takes_first(piece(0, 88, false))
        );
        ranges.add(piece(80, 100, true)).unwrap();
        assert!(ranges.takes_first(piece(0, 88, false)), "the datagram before is complete");
    }

    #[test]
    fn gaps_are_bounded() {
        let mut ranges = Ranges::new(piece(0, 8, false));
        for gap in 1..FRAGMENT_RANGES as u16 {
            ranges.add(piece(gap * 16, gap * 16 + 8, false)).unwrap();
        }
        assert_eq!(ranges.add(piece(4000, 4008, false)), Err(Misfit::TooManyGaps));
        ranges.add(piece(8, 16, false)).unwrap();
        ranges.add(piece(4000, 4008, false)).unwrap();
    }

    proptest! {
        /// Pieces of a whole datagram fit in any order that leaves few gaps, and none of them a second time.
        #[test]
        fn honest_fragments_fit(order in Just((1..8u16).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ranges = Ranges::new(piece(0, 8, false));
            for number in &order {
                let piece = piece(number * 8, number * 8 + 8, *number == 7);
                prop_assert_eq!(ranges.add(piece), Ok(()));
                prop_assert_eq!(ranges.add(piece), Err(Misfit::Duplicate));
            }
            prop_assert!(ranges.takes_first(piece(0, 4000, false)));
        }
    }
}
