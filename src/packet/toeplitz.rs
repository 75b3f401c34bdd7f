//! The Toeplitz hash of RSS in software, so that a director can compute the queue of a packet that it has not received
//! yet.

use super::{Address, Tuple, ipv4, wire};

/// A key with equal hashes for both directions of a flow: two bytes, repeated. 52 bytes for the NICs with the longest
/// keys; others use the first 40.
pub const SYMMETRIC_KEY: [u8; 52] = {
    let mut key = [0x6d; 52];
    let mut index = 1;
    while index < key.len() {
        key[index] = 0x5a;
        index += 2;
    }
    key
};

/// Maximum input in bytes: two IPv6 addresses and two ports.
const INPUT: usize = 36;
/// Number of key bits used for one input bit.
const WINDOW: usize = 32;
/// Minimum key length in bytes, for the maximum input; every NIC has at least this.
pub const KEY_MIN: usize = INPUT + WINDOW / 8;

/// The hash with one key. It has one table of 16 words for each half of an input byte: 1.5 KiB of them serve IPv4 with
/// ports, which leaves the L1 cache for packets. Tables for whole bytes would need eight times as much.
#[derive(Clone, Debug)]
pub struct Toeplitz {
    halves: [[[u32; 16]; 2]; INPUT],
}

impl Toeplitz {
    /// Computes the tables.
    ///
    /// # Panics
    /// If `key` has less than [`KEY_MIN`] bytes. Later bytes are not used.
    pub fn new(key: &[u8]) -> Self {
        assert!(key.len() >= KEY_MIN, "an RSS key has at least {KEY_MIN} bytes");
        let mut halves = [[[0; 16]; 2]; INPUT];
        for (index, entry) in halves.as_flattened_mut().iter_mut().enumerate() {
            for (value, hash) in entry.iter_mut().enumerate() {
                // Bit 3 of the half byte is the first one on the wire.
                let bits = (0..4).filter(|bit| value >> (3 - bit) & 1 == 1);
                *hash = bits.fold(0, |hash, bit| hash ^ window(key, index * 4 + bit));
            }
        }
        Toeplitz { halves }
    }

    /// The hash of a packet: over addresses and ports for TCP, UDP and SCTP, over addresses for other protocols. NICs
    /// without support for SCTP, and all NICs for fragments, use [`Self::hash_addresses`].
    #[inline]
    pub fn hash<A: Address>(&self, tuple: &Tuple<A>) -> u32 {
        match tuple.protocol {
            ipv4::TCP | ipv4::UDP | ipv4::SCTP => self.hash_ports(tuple),
            _ => self.hash_addresses(tuple.source, tuple.destination),
        }
    }

    /// The hash over addresses and ports, whatever the protocol.
    #[inline]
    pub fn hash_ports<A: Address>(&self, tuple: &Tuple<A>) -> u32 {
        let mut input = [0; INPUT];
        tuple.source.write(&mut input);
        tuple.destination.write(&mut input[A::BYTES..]);
        wire::set16(&mut input, A::BYTES * 2, tuple.source_port);
        wire::set16(&mut input, A::BYTES * 2 + 2, tuple.destination_port);
        self.hash_input(&input[..A::BYTES * 2 + 4])
    }

    /// The hash over addresses only.
    #[inline]
    pub fn hash_addresses<A: Address>(&self, source: A, destination: A) -> u32 {
        let mut input = [0; INPUT];
        source.write(&mut input);
        destination.write(&mut input[A::BYTES..]);
        self.hash_input(&input[..A::BYTES * 2])
    }

    /// The hash over one address.
    #[inline]
    pub fn hash_address<A: Address>(&self, address: A) -> u32 {
        let mut input = [0; INPUT];
        address.write(&mut input);
        self.hash_input(&input[..A::BYTES])
    }

    /// The hash over any fields in wire order. Bytes after the length of two IPv6 addresses and two ports are not used.
    #[inline]
    pub fn hash_input(&self, input: &[u8]) -> u32 {
        input.iter().zip(&self.halves).fold(0, |hash, (byte, [high, low])| {
            hash ^ high[usize::from(byte >> 4)] ^ low[usize::from(byte & 0xf)]
        })
    }
}

/// 32 bits of the key, starting at bit `start`.
fn window(key: &[u8], start: usize) -> u32 {
    (start..start + WINDOW)
        .fold(0, |word, bit| word << 1 | u32::from(key[bit / 8] >> (7 - bit % 8) & 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// The key and vectors of "Verifying the RSS hash calculation" in Microsoft's driver documentation.
    const MICROSOFT_KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    type Vector = (&'static str, u16, &'static str, u16, u32, u32);

    /// Source, destination, hash over addresses, hash over addresses and ports.
    const IPV4: [Vector; 5] = [
        ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e_8fc2, 0x51cc_c178),
        ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718_262a, 0xc626_b0ea),
        ("24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0_a5de, 0x5c2b_394a),
        ("38.27.205.30", 48228, "209.142.163.6", 2217, 0x8298_9176, 0xafc7_327f),
        ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x5d18_09c5, 0x10e8_28a2),
    ];

    const IPV6: [Vector; 3] = [
        ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc1_8cd5, 0x4020_7d3d),
        ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c_461c, 0xdde5_1bbf),
        (
            "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
            44251,
            "fe80::200:f8ff:fe21:67cf",
            38024,
            0x4b61_e985,
            0x02d1_feef,
        ),
    ];

    fn verify<A: Address>(vectors: &[Vector]) {
        let toeplitz = Toeplitz::new(&MICROSOFT_KEY);
        let parse = |text: &str| A::from_ip(text.parse::<IpAddr>().unwrap()).unwrap();
        for (source, source_port, destination, destination_port, addresses, ports) in vectors {
            let tuple = Tuple {
                source: parse(source),
                destination: parse(destination),
                source_port: *source_port,
                destination_port: *destination_port,
                protocol: ipv4::TCP,
            };
            assert_eq!(toeplitz.hash(&tuple), *ports, "{source}");
            let other = Tuple { protocol: ipv4::GRE, ..tuple };
            assert_eq!(toeplitz.hash(&other), *addresses, "{source}");
        }
    }

    #[test]
    fn microsofts_vectors() {
        verify::<u32>(&IPV4);
        verify::<u128>(&IPV6);
    }

    /// The definition: for each set input bit, from the left, the key shifted left by the bit's position.
    fn slow(key: &[u8], input: &[u8]) -> u32 {
        let mut hash = 0;
        for bit in 0..input.len() * 8 {
            if input[bit / 8] & (0x80 >> (bit % 8)) != 0 {
                for place in 0..32 {
                    let at = bit + place;
                    if key[at / 8] & (0x80 >> (at % 8)) != 0 {
                        hash ^= 0x8000_0000_u32 >> place;
                    }
                }
            }
        }
        hash
    }

    fn tuple<A>(addresses: [A; 2], ports: [u16; 2], protocol: u8) -> Tuple<A> {
        let [source, destination] = addresses;
        let [source_port, destination_port] = ports;
        Tuple { source, destination, source_port, destination_port, protocol }
    }

    proptest! {
        #[test]
        fn the_tables_match_the_bitwise_hash(
            key in prop::collection::vec(any::<u8>(), 40..=52),
            input in prop::collection::vec(any::<u8>(), 0..=36),
        ) {
            prop_assert_eq!(Toeplitz::new(&key).hash_input(&input), slow(&key, &input));
        }

        #[test]
        fn the_symmetric_key_is_symmetric(
            v4: [u32; 2], v6: [u128; 2], ports: [u16; 2], protocol: u8,
        ) {
            let toeplitz = Toeplitz::new(&SYMMETRIC_KEY);
            let four = tuple(v4, ports, protocol);
            prop_assert_eq!(toeplitz.hash(&four), toeplitz.hash(&four.reversed()));
            let six = tuple(v6, ports, protocol);
            prop_assert_eq!(toeplitz.hash(&six), toeplitz.hash(&six.reversed()));
        }
    }

    #[test]
    fn ports_are_hashed_for_protocols_that_have_them() {
        let toeplitz = Toeplitz::new(&MICROSOFT_KEY);
        for protocol in 0..=255 {
            let one = toeplitz.hash(&tuple([1_u32, 2], [4000, 80], protocol));
            let other = toeplitz.hash(&tuple([1_u32, 2], [4001, 80], protocol));
            assert_eq!(one != other, [6, 17, 132].contains(&protocol), "{protocol}");
        }
    }
}
