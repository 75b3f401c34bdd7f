//! Reassembly of fragmented datagrams for the director itself (RFC 791 section 3.2, RFC 8200 section 4.5). All
//! resources are bounded, because anyone may send fragments.

use crate::limits::{REASSEMBLY_BYTES, REASSEMBLY_DATAGRAMS, REASSEMBLY_PER_SOURCE};
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How long the fragments of a datagram wait for the others; Linux's ipfrag_time.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum payload of an IP packet in bytes.
const LONGEST: usize = u16::MAX as usize;
/// Memory accounted for a fragment besides its bytes.
const OVERHEAD: usize = 64;

/// Source, destination and identification of a datagram. The protocol is always ICMP.
pub(super) type Key = (IpAddr, IpAddr, u32);

/// One fragment, with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub offset: usize,
    pub bytes: &'a [u8],
    /// More fragments follow.
    pub more: bool,
}

#[derive(Debug)]
struct Datagram {
    since: Instant,
    /// Sorted by offset, without overlaps.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// Length of the whole payload, once the last fragment has arrived.
    total: Option<usize>,
}

impl Datagram {
    fn cost(&self) -> usize {
        self.pieces.values().map(|piece| piece.len() + OVERHEAD).sum()
    }

    fn end(&self) -> usize {
        self.pieces.last_key_value().map_or(0, |(offset, piece)| offset + piece.len())
    }

    fn is_complete(&self) -> bool {
        let held: usize = self.pieces.values().map(Vec::len).sum();
        self.total == Some(held)
    }

    /// True if the same fragment has arrived before.
    fn has(&self, piece: &Piece<'_>) -> bool {
        let ends_here = self.total == Some(piece.offset + piece.bytes.len());
        piece.more != ends_here
            && self.pieces.get(&piece.offset).is_some_and(|known| known == piece.bytes)
    }

    /// True if the fragment overlaps no other one and fits the datagram's length.
    fn fits(&self, piece: &Piece<'_>) -> bool {
        let end = piece.offset + piece.bytes.len();
        let before = self.pieces.range(..=piece.offset).next_back();
        let is_behind = before.is_none_or(|(at, bytes)| at + bytes.len() <= piece.offset);
        let is_before = self.pieces.range(piece.offset..).next().is_none_or(|(at, _)| end <= *at);
        let is_inside = match (self.total, piece.more) {
            (Some(total), true) => end < total,
            (Some(_), false) => false,
            (None, true) => true,
            (None, false) => self.end() <= piece.offset,
        };
        is_behind && is_before && is_inside
    }
}

/// Incomplete datagrams.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    datagrams: BTreeMap<Key, Datagram>,
    /// Memory accounted for all of them.
    bytes: usize,
}

impl Reassembly {
    /// Adds a fragment. Returns the datagram's payload when it is complete. `drop` is called for each discarded frame.
    pub(super) fn add(
        &mut self,
        key: Key,
        piece: Piece<'_>,
        now: Instant,
        mut drop: impl FnMut(DropReason),
    ) -> Option<Vec<u8>> {
        let end = piece.offset + piece.bytes.len();
        if piece.bytes.is_empty() || end > LONGEST || piece.more && !end.is_multiple_of(8) {
            drop(DropReason::BadIpLength);
            return None;
        }
        let known = self.datagrams.get(&key);
        if known.is_some_and(|known| known.has(&piece)) {
            // A duplicate of the network is ignored, as in Linux.
            drop(DropReason::FragmentOverlap);
            return None;
        }
        if known.is_some_and(|known| !known.fits(&piece)) {
            // RFC 5722: the whole datagram is discarded.
            drop(DropReason::FragmentOverlap);
            self.forget(key, DropReason::FragmentOverlap, &mut drop);
            return None;
        }
        self.make_room(key, piece.bytes.len() + OVERHEAD, &mut drop);
        let datagram = self.datagrams.entry(key).or_insert_with(|| Datagram {
            since: now,
            pieces: BTreeMap::new(),
            total: None,
        });
        if !piece.more {
            datagram.total = Some(end);
        }
        datagram.pieces.insert(piece.offset, piece.bytes.to_vec());
        self.bytes += piece.bytes.len() + OVERHEAD;
        if !datagram.is_complete() {
            return None;
        }
        let whole = self.datagrams.remove(&key)?;
        self.bytes -= whole.cost();
        Some(whole.pieces.into_values().flatten().collect())
    }

    /// Discards datagrams that have waited too long.
    pub(super) fn expire(&mut self, now: Instant, mut drop: impl FnMut(DropReason)) {
        let is_old = |datagram: &Datagram| now.since(datagram.since) >= TIMEOUT;
        let old: Vec<Key> = self
            .datagrams
            .iter()
            .filter(|(_, datagram)| is_old(datagram))
            .map(|(key, _)| *key)
            .collect();
        for key in old {
            self.forget(key, DropReason::FragmentTimedOut, &mut drop);
        }
    }

    /// Makes room for `bytes` more of a datagram: discards the oldest of its source first, then the oldest of all.
    fn make_room(&mut self, key: Key, bytes: usize, drop: &mut impl FnMut(DropReason)) {
        let is_new = !self.datagrams.contains_key(&key);
        let of_source = self.datagrams.keys().filter(|other| other.0 == key.0).count();
        if is_new && of_source >= REASSEMBLY_PER_SOURCE {
            self.forget_oldest(|other| other.0 == key.0, drop);
        }
        while self.bytes + bytes > REASSEMBLY_BYTES
            || is_new && self.datagrams.len() >= REASSEMBLY_DATAGRAMS
        {
            if !self.forget_oldest(|other| *other != key, drop) {
                return;
            }
        }
    }

    fn forget_oldest(
        &mut self,
        may_go: impl Fn(&Key) -> bool,
        drop: &mut impl FnMut(DropReason),
    ) -> bool {
        let candidates = self.datagrams.iter().filter(|(key, _)| may_go(key));
        let oldest = candidates.min_by_key(|(_, datagram)| datagram.since).map(|(key, _)| *key);
        if let Some(key) = oldest {
            self.forget(key, DropReason::FragmentTableFull, drop);
        }
        oldest.is_some()
    }

    fn forget(&mut self, key: Key, reason: DropReason, drop: &mut impl FnMut(DropReason)) {
        if let Some(datagram) = self.datagrams.remove(&key) {
            self.bytes -= datagram.cost();
            datagram.pieces.iter().for_each(|_| drop(reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: u32, identification: u32) -> Key {
        (std::net::Ipv4Addr::from_bits(source).into(), "10.0.0.1".parse().unwrap(), identification)
    }

    fn add(
        reassembly: &mut Reassembly,
        key: Key,
        (offset, bytes, more): (usize, &[u8], bool),
    ) -> (Option<Vec<u8>>, Vec<DropReason>) {
        let mut drops = Vec::new();
        let piece = Piece { offset, bytes, more };
        let whole = reassembly.add(key, piece, Instant::START, |reason| drops.push(reason));
        (whole, drops)
    }

    #[test]
    fn fragments_in_any_order() {
        let pieces = [(0, &[1; 16][..], true), (16, &[2; 8][..], true), (24, &[3; 5][..], false)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut reassembly = Reassembly::default();
            let outcomes = order.map(|index| add(&mut reassembly, key(1, 1), pieces[index]));
            let whole = [&[1; 16][..], &[2; 8], &[3; 5]].concat();
            assert_eq!(outcomes[2], (Some(whole), vec![]));
            assert!(outcomes[..2].iter().all(|outcome| *outcome == (None, vec![])));
            assert_eq!((reassembly.bytes, reassembly.datagrams.len()), (0, 0));
        }
    }

    #[test]
    fn inconsistent_fragments() {
        use DropReason::{BadIpLength, FragmentOverlap};
        // Fragments before, the new fragment, the drop reason.
        for (first, second, drops) in [
            ((0, &[0; 16][..], true), (8, &[0; 16][..], true), vec![FragmentOverlap; 2]),
            ((8, &[0; 16][..], true), (0, &[0; 16][..], true), vec![FragmentOverlap; 2]),
            ((0, &[0; 16][..], true), (0, &[1; 16][..], true), vec![FragmentOverlap; 2]),
            ((16, &[0; 8][..], false), (16, &[0; 8][..], true), vec![FragmentOverlap; 2]),
            ((16, &[0; 8][..], true), (16, &[0; 8][..], false), vec![FragmentOverlap; 2]),
            ((16, &[0; 4][..], false), (24, &[0; 8][..], true), vec![FragmentOverlap; 2]),
            ((16, &[0; 4][..], false), (32, &[0; 4][..], false), vec![FragmentOverlap; 2]),
            ((16, &[0; 8][..], true), (8, &[0; 4][..], false), vec![FragmentOverlap; 2]),
            ((0, &[0; 8][..], true), (8, &[0; 9][..], true), vec![BadIpLength]),
            ((0, &[0; 8][..], true), (65_528, &[0; 16][..], false), vec![BadIpLength]),
            ((0, &[0; 8][..], true), (8, &[][..], false), vec![BadIpLength]),
        ] {
            let mut reassembly = Reassembly::default();
            assert_eq!(add(&mut reassembly, key(1, 1), first), (None, vec![]));
            assert_eq!(add(&mut reassembly, key(1, 1), second), (None, drops), "{first:?}");
        }
    }

    #[test]
    fn duplicates_are_ignored() {
        let pieces = [(16, &[2; 8][..], false), (0, &[1; 16][..], true)];
        let mut reassembly = Reassembly::default();
        assert_eq!(add(&mut reassembly, key(1, 1), pieces[0]), (None, vec![]));
        let again = add(&mut reassembly, key(1, 1), pieces[0]);
        assert_eq!(again, (None, vec![DropReason::FragmentOverlap]));
        let whole = [&[1; 16][..], &[2; 8]].concat();
        assert_eq!(add(&mut reassembly, key(1, 1), pieces[1]), (Some(whole), vec![]));
    }

    #[test]
    fn everything_is_bounded() {
        let mut reassembly = Reassembly::default();
        let piece = (0, &[0; 1480][..], true);
        for identification in 0..REASSEMBLY_PER_SOURCE as u32 {
            assert_eq!(add(&mut reassembly, key(1, identification), piece).1, []);
        }
        assert_eq!(add(&mut reassembly, key(1, 99), piece).1, [DropReason::FragmentTableFull]);
        assert_eq!(reassembly.datagrams.len(), REASSEMBLY_PER_SOURCE);
        for source in 2..1000 {
            add(&mut reassembly, key(source, 1), piece);
        }
        assert_eq!(reassembly.datagrams.len(), REASSEMBLY_DATAGRAMS);
        for source in 0..64 {
            for place in 0..44 {
                add(&mut reassembly, key(5000 + source, 1), (place * 1480, &[0; 1480], true));
                assert!(reassembly.bytes <= REASSEMBLY_BYTES);
            }
        }
        let held: usize = reassembly.datagrams.values().map(|datagram| datagram.pieces.len()).sum();
        let mut timed_out = 0;
        reassembly.expire(Instant::from_secs(29), |_| timed_out += 1);
        assert_eq!(timed_out, 0);
        reassembly.expire(Instant::from_secs(30), |reason| {
            assert_eq!(reason, DropReason::FragmentTimedOut);
            timed_out += 1;
        });
        assert_eq!((timed_out, reassembly.bytes), (held, 0));
    }
}
