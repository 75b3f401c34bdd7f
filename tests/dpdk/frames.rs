//! Mbufs: append, trim and prepend, and their return to the pool.

use super::{MBUFS, eal, frame, numbered, pool, unique};
use director::dpdk::{Mbuf, Mempool};
use director::io::{Burst, Frame, MemoryFrame};
use proptest::prelude::*;

#[test]
fn dropped_frames_return_to_their_pool() {
    let eal = eal();
    let pool = pool(&eal);
    assert_eq!((pool.size(), pool.available()), (MBUFS, MBUFS));
    let mut burst: Burst<Mbuf> = (0..32).map(|n| numbered(&pool, n)).collect();
    assert_eq!(pool.available(), MBUFS - 32);
    drop(burst.pop());
    assert_eq!(pool.available(), MBUFS - 31);
    Mbuf::free_all(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(pool.available(), MBUFS);

    let all: Vec<Mbuf> = std::iter::from_fn(|| pool.allocate()).collect();
    assert_eq!((all.len() as u32, pool.available()), (MBUFS, 0));
    drop(all);
    assert_eq!(pool.available(), MBUFS);
}

/// AF_XDP computes the address of an mbuf from its number and size, so there may be no gap between two mbufs.
#[test]
fn packed_mbufs_are_contiguous() {
    let eal = eal();
    let pool = Mempool::packed(&eal, &unique("packed"), MBUFS, None).unwrap();
    let all: Vec<Mbuf> = std::iter::from_fn(|| pool.allocate()).collect();
    assert_eq!(all.len() as u32, MBUFS);
    let mut places: Vec<usize> = all.iter().map(|mbuf| mbuf.bytes().as_ptr() as usize).collect();
    places.sort_unstable();
    let size = places[1] - places[0];
    assert!(places.windows(2).all(|pair| pair[1] - pair[0] == size), "mbufs of {size} bytes");
    drop(all);
    assert_eq!(pool.available(), MBUFS);
}

#[derive(Debug, Clone)]
enum Change {
    Prepend(usize),
    TrimFront(usize),
    Append(usize),
    Truncate(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let size = prop_oneof![0..200_usize, 0..2300_usize];
    prop_oneof![
        size.clone().prop_map(Change::Prepend),
        size.clone().prop_map(Change::TrimFront),
        size.clone().prop_map(Change::Append),
        size.prop_map(Change::Truncate),
    ]
}

fn apply<F: Frame>(frame: &mut F, change: &Change, mark: u8) -> bool {
    let before = frame.bytes().len();
    match *change {
        Change::Prepend(count) => {
            let grown = frame.prepend(count);
            if grown {
                frame.bytes_mut()[..count].fill(mark);
            }
            grown
        }
        Change::TrimFront(count) => frame.trim_front(count),
        Change::Append(count) => {
            let grown = frame.append(count);
            if grown {
                frame.bytes_mut()[before..].fill(mark);
            }
            grown
        }
        Change::Truncate(length) => {
            frame.truncate(length);
            true
        }
    }
}

#[test]
fn reshaping_matches_a_memory_frame() {
    let eal = eal();
    let pool = pool(&eal);
    let changes = proptest::collection::vec(change(), 0..24);
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() },
    |(bytes in proptest::collection::vec(any::<u8>(), 0..1500), changes in changes)| {
        let mut mbuf = frame(&pool, &bytes);
        let mut oracle = MemoryFrame::new(&bytes);
        for (step, change) in changes.iter().enumerate() {
            let done = apply(&mut mbuf, change, step as u8);
            prop_assert_eq!(done, apply(&mut oracle, change, step as u8), "{:?}", change);
            prop_assert_eq!(mbuf.bytes(), oracle.bytes());
            prop_assert_eq!(mbuf.headroom() + mbuf.bytes().len() + mbuf.tailroom(), 128 + 2048);
        }
    });
    assert_eq!(pool.available(), MBUFS);
}
