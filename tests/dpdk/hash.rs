//! The hash table against a map of the standard library.

use super::{eal, unique};
use director::dpdk::HashTable;
use std::collections::HashMap;

type Table = HashTable<16>;

/// Keys that differ in two bytes only.
fn key(number: u16) -> [u8; 16] {
    let mut key = [7; 16];
    key[3..5].copy_from_slice(&number.to_be_bytes());
    key
}

/// What is there of keys 0 to `count`, asked for in bursts.
fn contents(table: &Table, count: u16) -> HashMap<u16, usize> {
    let mut contents = HashMap::new();
    let numbers: Vec<u16> = (0..count).collect();
    for burst in numbers.chunks(Table::FIND_MAX) {
        let keys: Vec<[u8; 16]> = burst.iter().copied().map(key).collect();
        let mut values = [usize::MAX; Table::FIND_MAX];
        let found = table.find(&keys.iter().collect::<Vec<_>>(), &mut values);
        let hits = (0..burst.len()).filter(|index| found >> index & 1 == 1);
        contents.extend(hits.map(|index| (burst[index], values[index])));
    }
    contents
}

#[test]
fn a_hash_table_holds_all_it_was_made_for() {
    const ENTRIES: u16 = 3000;
    let eal = eal();
    let mut table = Table::new(&eal, &unique("hash"), ENTRIES.into(), None).unwrap();
    assert!(table.is_empty());
    assert_eq!(table.find(&[], &mut []), 0);
    let mut expected = HashMap::new();
    for number in 0..ENTRIES {
        table.insert(&key(number), usize::from(number) * 5).unwrap();
        expected.insert(number, usize::from(number) * 5);
    }
    assert_eq!(table.len(), usize::from(ENTRIES));
    assert_eq!(contents(&table, 2 * ENTRIES), expected);
    for number in (0..ENTRIES).step_by(3) {
        assert!(table.remove(&key(number)));
        assert!(!table.remove(&key(number)));
        expected.remove(&number);
    }
    table.insert(&key(1), 0).unwrap();
    expected.insert(1, 0);
    assert_eq!(contents(&table, 2 * ENTRIES), expected);
}

#[test]
fn a_hash_table_that_cannot_be_made_says_so() {
    let eal = eal();
    let name = unique("hash");
    let _first = Table::new(&eal, &name, 64, None).unwrap();
    let error = Table::new(&eal, &name, 64, None).unwrap_err().to_string();
    assert!(error.contains(&name), "{error}");
    assert!(Table::new(&eal, &unique("hash"), 1, None).is_err());
    assert!(Table::new(&eal, "nul\0", 64, None).is_err());
}
