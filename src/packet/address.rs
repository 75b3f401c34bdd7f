//! The two address families as integers, so that other code is written once for both.

use crate::model::Family;
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP address as an integer in host order: `u32` for IPv4, `u128` for IPv6.
pub trait Address: Copy + Debug + Default + Eq + Ord + Hash + Send + Sync + 'static {
    const FAMILY: Family;
    /// Bytes on the wire.
    const BYTES: usize;
    /// The unspecified address, all zeros.
    const UNSPECIFIED: Self;

    fn from_ip(address: IpAddr) -> Option<Self>;
    fn to_ip(self) -> IpAddr;

    /// The address in the low bits of an integer for both families.
    fn bits(self) -> u128;

    /// 64 bits that depend on every bit of the address.
    fn fold(self) -> u64;

    /// Sum of the 16-bit words of the address, for the Internet checksum; below 2^20.
    fn words(self) -> u32;

    /// The network of the first `length` bits; the address itself from its full width on.
    fn masked(self, length: u8) -> Self;

    /// Reads the address from its first [`Self::BYTES`] bytes, which must exist.
    fn read(bytes: &[u8]) -> Self;
    /// Writes the address to the first [`Self::BYTES`] bytes.
    fn write(self, bytes: &mut [u8]);
}

/// The address in the low bits of an integer for both families.
pub fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A slot below `slots`, a power of two, for the bits of an address (Fibonacci hashing).
#[inline]
pub const fn slot_of(bits: u128, slots: usize) -> usize {
    let folded = bits as u64 ^ (bits >> 64) as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - slots.ilog2())) as usize
}

impl Address for u32 {
    const FAMILY: Family = Family::Ipv4;
    const BYTES: usize = 4;
    const UNSPECIFIED: Self = 0;

    fn from_ip(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(_) => None,
        }
    }

    fn to_ip(self) -> IpAddr {
        Ipv4Addr::from_bits(self).into()
    }

    #[inline]
    fn bits(self) -> u128 {
        u128::from(self)
    }

    #[inline]
    fn fold(self) -> u64 {
        u64::from(self)
    }

    #[inline]
    fn words(self) -> u32 {
        (self >> 16) + (self & 0xffff)
    }

    #[inline]
    fn masked(self, length: u8) -> Self {
        self & !u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    #[inline]
    fn write(self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&self.to_be_bytes());
    }
}

impl Address for u128 {
    const FAMILY: Family = Family::Ipv6;
    const BYTES: usize = 16;
    const UNSPECIFIED: Self = 0;

    fn from_ip(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.to_bits()),
        }
    }

    fn to_ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self).into()
    }

    #[inline]
    fn bits(self) -> u128 {
        self
    }

    #[inline]
    fn fold(self) -> u64 {
        (self as u64) ^ ((self >> 64) as u64).rotate_left(32)
    }

    #[inline]
    fn words(self) -> u32 {
        const HALVES: u128 = 0xffff_u128 << 96 | 0xffff_u128 << 64 | 0xffff_u128 << 32 | 0xffff;
        // Four lanes of 32 bits, each the sum of two words.
        let lanes = (self & HALVES) + ((self >> 16) & HALVES);
        let pairs = (lanes as u64) + ((lanes >> 64) as u64);
        (pairs >> 32) as u32 + pairs as u32
    }

    #[inline]
    fn masked(self, length: u8) -> Self {
        self & !u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let mut octets = [0; 16];
        octets.copy_from_slice(&bytes[..16]);
        u128::from_be_bytes(octets)
    }

    #[inline]
    fn write(self, bytes: &mut [u8]) {
        bytes[..16].copy_from_slice(&self.to_be_bytes());
    }
}
