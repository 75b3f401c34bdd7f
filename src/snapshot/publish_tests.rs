//! The protocol with real rings and threads; `tests/publication` explores its interleavings.

use super::{Snapshot, publication};
use std::sync::Arc;

#[test]
fn workers_see_every_snapshot_and_control_frees_them() {
    let (mut publisher, mut adopters) = publication(Snapshot::default(), 2);
    let weak = Arc::downgrade(publisher.current());
    assert!(publisher.publish(Snapshot::default()));
    assert!(!publisher.publish(Snapshot::default()), "no worker has acknowledged");
    assert!(adopters[0].adopt());
    assert!(!publisher.is_settled());
    assert!(adopters[1].adopt() && !adopters[1].adopt());
    assert!(publisher.is_settled());
    assert!(weak.upgrade().is_some(), "the rings still hold the first snapshot");
    publisher.collect();
    assert!(weak.upgrade().is_none());
    assert_eq!(adopters[0].current().epoch, 1);
}

#[test]
fn threads_adopt_every_snapshot_in_order() {
    let (mut publisher, adopters) = publication(Snapshot::default(), 2);
    let workers: Vec<_> = adopters
        .into_iter()
        .map(|mut adopter| {
            std::thread::spawn(move || {
                let mut last = 0;
                while last < 1000 {
                    if adopter.adopt() {
                        assert_eq!(adopter.current().epoch, last + 1);
                        last += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut published = 0;
    while published < 1000 {
        if publisher.publish(Snapshot::default()) {
            published += 1;
        } else {
            std::thread::yield_now();
        }
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(publisher.is_settled());
}
