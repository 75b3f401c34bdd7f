//! The bytes of a datagram covered by its fragments so far, to drop overlapping ones: a receiver and a filter could
//! reassemble them differently (RFC 1858, RFC 5722).

use crate::io::Frame;
use crate::limits::FRAGMENT_RANGES;
use crate::model::Family;
use crate::packet::ethernet::ETHERNET;
use crate::packet::ipv4::{FRAGMENT_OFFSET, MORE_FRAGMENTS};
use crate::packet::{Address, Fragment, Packet, ipv4, ipv6, wire};

/// The range of a fragment in its datagram's payload, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    start: u16,
    end: u16,
    is_last: bool,
}

impl Piece {
    /// The range of a fragment that was parsed to `packet` and is unchanged. `None` if the datagram would be longer than
    /// its 16-bit length field allows (RFC 791 section 3.1, RFC 8200 section 4.5). Checked here, because the same check in
    /// the parser costs whole packets three instructions.
    pub(super) fn of<A: Address>(frame: &impl Frame, packet: &Packet<A>) -> Option<Piece> {
        let ip = &frame.bytes()[ETHERNET..];
        let header = usize::from(packet.header);
        let (start, more) = match (packet.fragment, A::FAMILY) {
            (Fragment::Later, Family::Ipv4) => {
                let word = ipv4::fragment_word(ip);
                ((word & FRAGMENT_OFFSET) * 8, word & MORE_FRAGMENTS != 0)
            }
            // The fragment header is the last one of the chain.
            (Fragment::Later, Family::Ipv6) => {
                let word = wire::get16(ip, header - ipv6::FRAGMENT_HEADER + 2);
                (word & 0xfff8, word & 1 != 0)
            }
            _ => (0, true),
        };
        // The length of IPv4 includes the header, that of IPv6 does not.
        let counted = match A::FAMILY {
            Family::Ipv4 => packet.length,
            Family::Ipv6 => packet.length - packet.header,
        };
        start.checked_add(counted)?;
        let end = start + (packet.length - packet.header);
        Some(Piece { start, end, is_last: !more })
    }
}

/// Why a fragment is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It contains nothing new, e.g. a duplicate of the network. Later fragments are still forwarded.
    Duplicate,
    /// It overlaps others, or is inconsistent with the datagram's length. No more fragments of the datagram are
    /// forwarded.
    Overlap,
    /// There are more gaps than can be stored.
    TooManyGaps,
}

/// The covered bytes of a datagram, as ranges that do not touch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    seen: [(u16, u16); FRAGMENT_RANGES],
    count: u8,
    /// End of the first fragment.
    first_end: u16,
    /// Length of the payload, once the last fragment has arrived.
    total: Option<u16>,
}

impl Ranges {
    /// A datagram with only the fragment `first`.
    pub(super) fn new(first: Piece) -> Ranges {
        let mut seen = [(0, 0); FRAGMENT_RANGES];
        seen[0] = (first.start, first.end);
        Ranges { seen, count: 1, first_end: first.end, total: None }
    }

    /// True if every byte of the datagram has arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.count == 1 && self.total == Some(self.seen[0].1)
    }

    /// Compares another first fragment with the same identification. After a complete datagram it begins a new one.
    ///
    /// # Errors
    /// While this datagram is incomplete.
    pub(super) fn fits_first(&self, first: Piece) -> Result<(), Misfit> {
        match first.end == self.first_end {
            _ if self.is_complete() => Ok(()),
            true => Err(Misfit::Duplicate),
            false => Err(Misfit::Overlap),
        }
    }

    /// Adds a later fragment.
    ///
    /// # Errors
    /// If it does not fit.
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

    /// Start, end and "last fragment" of a fragment, and the expected result.
    type Step = (u16, u16, bool, Result<(), Misfit>);

    #[test]
    fn fragments_that_fit_and_that_do_not() {
        let fits = Ok(());
        let overlap = Err(Misfit::Overlap);
        let duplicate = Err(Misfit::Duplicate);
        // Each line begins with a first fragment of 80 bytes.
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
        assert_eq!(ranges.fits_first(piece(0, 80, false)), Err(Misfit::Duplicate));
        assert_eq!(ranges.fits_first(piece(0, 88, false)), Err(Misfit::Overlap));
        ranges.add(piece(80, 100, true)).unwrap();
        let again = ranges.fits_first(piece(0, 88, false));
        assert_eq!(again, Ok(()), "the previous datagram is complete");
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
        /// Fragments of a whole datagram fit in any order with few gaps, and none fits twice.
        #[test]
        fn fragments_of_a_datagram_fit_once(order in Just((1..8u16).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ranges = Ranges::new(piece(0, 8, false));
            for number in &order {
                let piece = piece(number * 8, number * 8 + 8, *number == 7);
                prop_assert_eq!(ranges.add(piece), Ok(()));
                prop_assert_eq!(ranges.add(piece), Err(Misfit::Duplicate));
            }
            prop_assert_eq!(ranges.fits_first(piece(0, 4000, false)), Ok(()));
        }
    }
}
