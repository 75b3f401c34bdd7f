//! The order of sorted listings.
//!
//! ipvsadm compares numbers by the sign of their difference in 32 bits. If they differ by 2^31 or more, the sign is wrong,
//! and the result also depends on the sorting algorithm. ipvsadm uses a top-down merge sort. The same one is used here, so
//! that listings are equal.

use crate::model::{DestinationRow, Family, ServiceKey, ServiceRow};
use std::net::IpAddr;

/// As IPVS keeps services: by the bucket of its hash table, those with a mark last. Rows come newest first and stay so
/// within a bucket.
///
/// This is the order of unsorted listings. Sorted listings start from it, which matters because the comparison is not a
/// total order.
pub(crate) fn order_as_kept(rows: &mut [ServiceRow]) {
    rows.sort_by_key(|row| (row.spec.key.is_fwmark(), bucket(&row.spec.key)));
}

/// The bucket of a service. IPVS adds an address of its memory, which changes with each boot. Here it is constant.
fn bucket(key: &ServiceKey) -> u8 {
    const OWN: u32 = 0x40;
    let hash = match *key {
        ServiceKey::Fwmark { mark, .. } => mark,
        ServiceKey::Address { protocol, address, port } => {
            let folded = words(address).into_iter().fold(0, |folded, word| folded ^ word);
            let port = u32::from(port);
            u32::from(protocol.number()) ^ folded ^ (port >> u8::BITS) ^ port
        }
    };
    (hash ^ OWN) as u8
}

/// By firewall mark, family, protocol, address and port.
pub(crate) fn sort_services(rows: &mut Vec<ServiceRow>) {
    merge_sort(rows, &|left, right| compare_services(&left.spec.key, &right.spec.key));
}

/// By address and port.
pub(crate) fn sort_destinations(rows: &mut Vec<DestinationRow>) {
    merge_sort(rows, &|left, right| {
        let (left, right) = (left.spec.at, right.spec.at);
        let address = compare_addresses(left.address, right.address);
        first_difference([address, i32::from(left.port) - i32::from(right.port)])
    });
}

/// Sorts the halves, the first being the shorter, and merges; the left one goes first unless it is
/// greater.
fn merge_sort<T>(rows: &mut Vec<T>, compare: &impl Fn(&T, &T) -> i32) {
    if rows.len() < 2 {
        return;
    }
    let mut upper = rows.split_off(rows.len() / 2);
    merge_sort(rows, compare);
    merge_sort(&mut upper, compare);
    let merged = Vec::with_capacity(rows.len() + upper.len());
    let lower = std::mem::replace(rows, merged);
    let (mut lower, mut upper) = (lower.into_iter().peekable(), upper.into_iter().peekable());
    while let (Some(left), Some(right)) = (lower.peek(), upper.peek()) {
        let side = if compare(left, right) <= 0 { &mut lower } else { &mut upper };
        rows.extend(side.next());
    }
    rows.extend(lower);
    rows.extend(upper);
}

fn compare_services(left: &ServiceKey, right: &ServiceKey) -> i32 {
    let (left_numbers, left_address) = sort_key(left);
    let (right_numbers, right_address) = sort_key(right);
    let [mark, family, protocol] =
        std::array::from_fn(|index| difference(left_numbers[index], right_numbers[index]));
    first_difference([
        mark,
        family,
        protocol,
        compare_addresses(left_address, right_address),
        i32::from(left.port()) - i32::from(right.port()),
    ])
}

/// Mark, family and protocol, then the address; a service has either a mark or the rest.
fn sort_key(key: &ServiceKey) -> ([u32; 3], IpAddr) {
    let family = u32::from(key.family() == Family::Ipv6);
    match *key {
        ServiceKey::Address { protocol, address, .. } => {
            ([0, family, u32::from(protocol.number())], address)
        }
        ServiceKey::Fwmark { mark, .. } => ([mark, family, 0], [0; 4].into()),
    }
}

/// Four words if the left one is IPv6, else the first word alone.
fn compare_addresses(left: IpAddr, right: IpAddr) -> i32 {
    let (left_words, right_words) = (words(left), words(right));
    let compared = if left.is_ipv6() { 4 } else { 1 };
    first_difference((0..compared).map(|index| difference(left_words[index], right_words[index])))
}

fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            std::array::from_fn(|index| (bits >> (96 - 32 * index)) as u32)
        }
    }
}

fn difference(left: u32, right: u32) -> i32 {
    left.wrapping_sub(right) as i32
}

fn first_difference(differences: impl IntoIterator<Item = i32>) -> i32 {
    differences.into_iter().find(|&difference| difference != 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use proptest::prelude::*;

    fn address(word: &str) -> IpAddr {
        word.parse().unwrap()
    }

    fn sorted(words: &[&str]) -> Vec<String> {
        let mut rows: Vec<IpAddr> = words.iter().map(|word| address(word)).collect();
        merge_sort(&mut rows, &|left, right| compare_addresses(*left, *right));
        rows.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn far_addresses_come_in_the_order_of_wrapped_differences() {
        assert_eq!(sorted(&["10.0.0.1", "192.168.10.1"]), ["192.168.10.1", "10.0.0.1"]);
        assert_eq!(sorted(&["0.0.0.0", "255.255.255.255"]), ["255.255.255.255", "0.0.0.0"]);
        assert_eq!(sorted(&["192.168.10.1", "127.0.0.1"]), ["127.0.0.1", "192.168.10.1"]);
        assert_eq!(sorted(&["127.0.0.1", "10.0.0.1"]), ["10.0.0.1", "127.0.0.1"]);
        // Not a total order: what has been seen from ipvsadm is one of several stable outcomes.
        let seen = ["127.0.0.1", "192.168.10.1", "192.168.10.2", "192.168.10.4", "10.0.0.1"];
        assert_eq!(sorted(&seen), seen);
    }

    #[test]
    fn services_by_mark_family_protocol_address_port() {
        let service =
            |protocol, word, port| ServiceKey::Address { protocol, address: address(word), port };
        let expected = [
            service(Protocol::Tcp, "10.0.0.1", 80),
            service(Protocol::Tcp, "10.0.0.1", 443),
            service(Protocol::Tcp, "10.0.0.2", 1),
            service(Protocol::Udp, "10.0.0.1", 53),
            service(Protocol::Sctp, "10.0.0.1", 5),
            service(Protocol::Tcp, "2001:db8::1", 80),
            service(Protocol::Tcp, "2001:db8:0:1::", 80),
            ServiceKey::Fwmark { mark: 3, family: Family::Ipv4 },
            ServiceKey::Fwmark { mark: 3, family: Family::Ipv6 },
            ServiceKey::Fwmark { mark: 7, family: Family::Ipv4 },
        ];
        for rotation in 0..expected.len() {
            let mut keys = expected.to_vec();
            keys.rotate_left(rotation);
            merge_sort(&mut keys, &compare_services);
            assert_eq!(keys, expected);
        }
    }

    #[test]
    fn unsorted_services_lie_in_buckets() {
        let service =
            |protocol, word, port| ServiceKey::Address { protocol, address: address(word), port };
        // As a kernel listed them.
        let kept = [
            service(Protocol::Udp, "10.0.0.102", 53),
            service(Protocol::Tcp, "fd00:a::100", 80),
            service(Protocol::Tcp, "10.0.0.100", 80),
            service(Protocol::Tcp, "10.0.0.101", 443),
        ];
        assert!(kept.is_sorted_by_key(bucket), "{:?}", kept.map(|key| bucket(&key)));
        let same = [service(Protocol::Tcp, "10.0.0.1", 80), service(Protocol::Tcp, "10.9.9.1", 80)];
        assert_eq!(bucket(&same[0]), bucket(&same[1]));
    }

    proptest! {
        #[test]
        fn near_numbers_are_sorted_and_equal_ones_stay(values in prop::collection::vec(0u32..50, 0..60)) {
            let mut rows: Vec<(u32, usize)> =
                values.iter().copied().enumerate().map(|(index, value)| (value, index)).collect();
            let mut expected = rows.clone();
            expected.sort();
            merge_sort(&mut rows, &|left, right| difference(left.0, right.0));
            prop_assert_eq!(rows, expected);
        }
    }
}
