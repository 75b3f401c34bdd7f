//! The RSS keys and redirection tables that the director programs. One key sends both directions of a flow to the same
//! queue. The other keys let the client's address alone select the queue, on devices that always hash whole flows.
//!
//! The Toeplitz hash XORs, for each set input bit i (source, destination, ports, in wire order), key bits i to i + 31. With
//! a table of 2^n entries only the lowest n bits of the hash matter, so input bit i affects the queue only through key bits
//! i + 32 - n to i + 31. The key is zero there for every field except the client's address.
//!
//! Both families share the key. This has two consequences for IPv6:
//!
//! * Only the first 32 and the last 31 bits of a client's address select the queue.
//! * The key bits for an IPv4 destination lie under bits 32 to 63 of an IPv6 source. If servers have bits set there, their
//!   replies may arrive at another queue than the requests and are handed off. All workers compute with the key of the
//!   device, so this costs time but no packet.

use crate::model::PortSide;
use std::ops::RangeInclusive;

/// The fields that select the queue on a device that hashes whole flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keying {
    /// The whole flow, the same for both directions.
    Flow,
    /// The address of the client: the source on ports that face clients, else the destination. Made for tables of
    /// 2^`index_bits` entries.
    Client { side: PortSide, index_bits: usize },
}

impl Keying {
    /// By client, if a table of that size allows it.
    pub(super) fn client(side: PortSide, reta_size: u16) -> Option<Keying> {
        let index_bits = index_bits(reta_size)?;
        (side != PortSide::Both).then_some(Keying::Client { side, index_bits })
    }

    /// A key of `length` bytes.
    pub(super) fn key(self, length: usize) -> Vec<u8> {
        match self {
            Keying::Flow => symmetric_key(length),
            Keying::Client { side, index_bits } => client_key(length, index_bits, side),
        }
    }

    /// A table of `size` entries that spreads evenly over all queues.
    pub(super) fn reta(self, size: u16, queues: u16) -> Vec<u16> {
        match (self, index_bits(size)) {
            (Keying::Client { .. }, Some(index_bits)) => client_table(index_bits, queues),
            _ => round_robin(size, queues),
        }
    }

    /// A device with this key and a table of this size selects the queue by these fields.
    pub(super) fn is_kept(self, key: &[u8], reta_size: usize) -> bool {
        match self {
            Keying::Flow => true,
            Keying::Client { index_bits, .. } => {
                reta_size == 1 << index_bits && key == self.key(key.len())
            }
        }
    }
}

/// A key with a period of 16 bits: swapping source and destination does not change the Toeplitz hash.
fn symmetric_key(length: usize) -> Vec<u8> {
    [0x6d, 0x5a].into_iter().cycle().take(length).collect()
}

/// Queues in turn over `size` entries.
fn round_robin(size: u16, queues: u16) -> Vec<u16> {
    (0..size).map(|entry| entry % queues.max(1)).collect()
}

/// Bits of the hash.
const HASH: usize = 32;
/// First key bit of the run for the source: all bits of an IPv4 source, the first 32 of an IPv6 source.
const SOURCE: usize = HASH - 1;
/// First key bit of the run for the end of an IPv6 source, behind all fields of IPv4.
const SOURCE_END_IPV6: usize = SOURCE + 96;
/// Bits from a source to the destination.
const TO_DESTINATION_IPV4: usize = 32;
const TO_DESTINATION_IPV6: usize = 128;
/// An irregular pattern, so that few combinations of address bits cancel out. The first and the last bit of each run are set.
const PATTERN: u64 = 0xb5c0_fbcf_ec4d_3b2f;

/// Supported tables: 16 to 4096 entries. If the index were shorter than the longest run of zeros in the pattern, some
/// address bits would have no effect. A longer index leaves too few key bits.
const INDEX_BITS: RangeInclusive<usize> = 4..=12;

/// Number of hash bits that index a table of this size. `None` if the size is not a supported power of two.
fn index_bits(reta_size: u16) -> Option<usize> {
    let bits = reta_size.checked_ilog2()? as usize;
    (reta_size.is_power_of_two() && INDEX_BITS.contains(&bits)).then_some(bits)
}

/// A key of `length` bytes with which the client's address selects one of 2^`index_bits` entries.
fn client_key(length: usize, index_bits: usize, side: PortSide) -> Vec<u8> {
    let mut key = vec![0; length];
    let runs: &[usize] = match side {
        PortSide::Servers => &[
            SOURCE + TO_DESTINATION_IPV4,
            SOURCE + TO_DESTINATION_IPV6,
            SOURCE_END_IPV6 + TO_DESTINATION_IPV6,
        ],
        PortSide::Clients | PortSide::Both => &[SOURCE, SOURCE_END_IPV6],
    };
    // One more bit would overlap with the first bit of the next field.
    let run = HASH + 1 - index_bits;
    for start in runs {
        for place in 0..run {
            if place == 0 || place == run - 1 || PATTERN >> place & 1 == 1 {
                let bit = start + place;
                key[bit / 8] |= 0x80 >> (bit % 8);
            }
        }
    }
    key
}

/// Queues in turn over entries with bit-reversed index. The last bits of an address select the first bits of the index, so
/// neighbouring addresses go to different queues.
fn client_table(index_bits: usize, queues: u16) -> Vec<u16> {
    let backwards = |entry: u16| entry.reverse_bits() >> (u16::BITS as usize - index_bits);
    (0..1 << index_bits).map(|entry| backwards(entry) % queues.max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::rss::{Fields, Input, Rule};
    use crate::packet::{Address, Tuple};
    use proptest::prelude::*;

    fn rule(index_bits: usize, queues: u16, side: PortSide) -> Rule {
        let ports = Input::AddressesAndPorts;
        let addresses = Input::Addresses;
        let fields = Fields {
            tcp: ports,
            udp: ports,
            sctp: addresses,
            other: addresses,
            fragment: addresses,
        };
        let key = client_key(40, index_bits, side);
        Rule::new(key, client_table(index_bits, queues), fields, fields)
    }

    fn request<A: Address>(client: A, server: A, ports: (u16, u16)) -> Tuple<A> {
        Tuple {
            source: client,
            destination: server,
            source_port: ports.0,
            destination_port: ports.1,
            protocol: crate::packet::ipv4::TCP,
        }
    }

    fn answer<A: Address>(client: A, server: A, ports: (u16, u16)) -> Tuple<A> {
        request(server, client, (ports.1, ports.0))
    }

    fn queue<A: Address>(rule: &Rule, tuple: &Tuple<A>) -> u16 {
        rule.queue(rule.hash(tuple))
    }

    #[test]
    fn the_key_repeats_over_the_length_asked() {
        assert_eq!(symmetric_key(40).len(), 40);
        let long = symmetric_key(52);
        assert_eq!(long.len(), 52);
        assert!(long.chunks(2).all(|pair| pair == [0x6d, 0x5a]));
    }

    #[test]
    fn every_queue_gets_its_turn() {
        assert_eq!(round_robin(8, 3), [0, 1, 2, 0, 1, 2, 0, 1]);
        assert_eq!(round_robin(2, 0), [0, 0]);
        assert!(round_robin(0, 4).is_empty());
    }

    #[test]
    fn a_device_must_have_key_and_size_that_were_meant() {
        let keying = Keying::client(PortSide::Clients, 128).unwrap();
        assert_eq!(keying, Keying::Client { side: PortSide::Clients, index_bits: 7 });
        assert_eq!(keying.reta(128, 2).len(), 128);
        assert_eq!(keying.reta(100, 2), round_robin(100, 2));
        assert!(keying.is_kept(&keying.key(40), 128) && keying.is_kept(&keying.key(52), 128));
        assert!(!keying.is_kept(&keying.key(40), 64));
        assert!(!keying.is_kept(&symmetric_key(40), 128));
        assert!(Keying::Flow.is_kept(&[1, 2, 3], 5));
        assert_eq!(Keying::client(PortSide::Clients, 0), None);
        assert_eq!(Keying::client(PortSide::Both, 128), None);
    }

    #[test]
    fn tables_of_a_power_of_two_have_an_index() {
        let fit = [(16, Some(4)), (128, Some(7)), (512, Some(9)), (4096, Some(12))];
        let unfit = [0, 1, 2, 8, 100, 8192].map(|size| (size, None));
        for (size, bits) in fit.into_iter().chain(unfit) {
            assert_eq!(index_bits(size), bits, "{size}");
        }
    }

    #[test]
    fn all_queues_get_their_share_of_neighbours() {
        for queues in 1..=16 {
            for (network, side) in
                [(0x0a01_0200, PortSide::Clients), (0xc0a8_0a00, PortSide::Servers)]
            {
                let rule = rule(7, queues, side);
                let mut shares = vec![0_u16; usize::from(queues)];
                for host in 0..256_u32 {
                    let tuple = match side {
                        PortSide::Clients => request(network | host, 1, (1, 2)),
                        _ => answer(network | host, 1, (1, 2)),
                    };
                    shares[usize::from(queue(&rule, &tuple))] += 1;
                }
                let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                assert!(most - least <= 4, "{queues} queues: {shares:?}");
            }
        }
    }

    /// Every bit of an IPv4 address, and the host's of an IPv6 one, can move a client.
    #[test]
    fn every_bit_takes_part() {
        for bits in INDEX_BITS {
            let rule = rule(bits, 1 << bits, PortSide::Clients);
            let moved = |bit: u32| queue(&rule, &request(1_u32 << bit, 0, (0, 0))) != 0;
            assert!((0..32).all(moved), "{bits}");
            let moved = |bit: u32| queue(&rule, &request(1_u128 << bit, 0, (0, 0))) != 0;
            assert!((0..31).chain(96..128).all(moved), "{bits}");
        }
    }

    proptest! {
        /// Requests, replies and fragments of a client have the same queue, whatever the other fields are.
        #[test]
        fn the_client_alone_chooses(
            client: u32,
            virtual_address: u32,
            servers: [u32; 2],
            ports: [(u16, u16); 2],
            bits in INDEX_BITS,
            queues in 1..20_u16,
        ) {
            let wan = rule(bits, queues, PortSide::Clients);
            let lan = rule(bits, queues, PortSide::Servers);
            let home = queue(&wan, &request(client, virtual_address, ports[0]));
            prop_assert!(home < queues);
            prop_assert_eq!(queue(&wan, &request(client, servers[0], ports[1])), home);
            prop_assert_eq!(wan.queue(wan.hash_fragment(client, virtual_address)), home);
            for (server, ports) in servers.into_iter().zip(ports) {
                prop_assert_eq!(queue(&lan, &answer(client, server, ports)), home);
                prop_assert_eq!(lan.queue(lan.hash_fragment(server, client)), home);
            }
        }

        /// So they do over IPv6, but for the servers' network.
        #[test]
        fn the_client_alone_chooses_over_ipv6(
            client: u128,
            virtual_address: u128,
            hosts: [u64; 2],
            network: u32,
            ports: [(u16, u16); 2],
            bits in INDEX_BITS,
            queues in 1..20_u16,
        ) {
            let wan = rule(bits, queues, PortSide::Clients);
            let lan = rule(bits, queues, PortSide::Servers);
            let home = queue(&wan, &request(client, virtual_address, ports[0]));
            prop_assert_eq!(queue(&wan, &request(client, !virtual_address, ports[1])), home);
            // Bits 32 to 63 are none: fd00:1::/64 and its like.
            let server = |host: u64| u128::from(network) << 96 | u128::from(host);
            prop_assert_eq!(queue(&lan, &answer(client, server(hosts[0]), ports[0])), home);
            let apart = |host| server(host) | 0x2_0001_u128 << 64;
            let there = |index: usize| queue(&lan, &answer(client, apart(hosts[index]), ports[index]));
            prop_assert_eq!(there(0), there(1), "servers of one network are alike");
        }
    }
}
