//! The multiplicative hash of dh, sh and the lblc caches, and how addresses are folded into it.

use std::net::IpAddr;

/// The address as one 32-bit number in host order; the four words of an IPv6 address XORed.
#[inline]
pub(super) fn folded(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let half = (bits >> 64) as u64 ^ bits as u64;
            (half >> 32) as u32 ^ half as u32
        }
    }
}

/// The upper `bits` bits of `number` times the 32-bit golden ratio; `bits` is 1 to 32.
#[inline]
pub(super) fn golden_ratio(number: u32, bits: u32) -> u32 {
    number.wrapping_mul(0x61c8_8647) >> (32 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_kernels() {
        let client = |last: u32| 0x0a00_0000 + last;
        for (number, expected) in [
            (client(1), 39),
            (client(2), 137),
            (client(3), 235),
            (client(4), 77),
            (client(5), 174),
            (client(2) + 7000, 76),
            (client(2) + 7001, 174),
            (client(2) + 7002, 16),
            (client(2) + 20000, 219),
        ] {
            assert_eq!(golden_ratio(number, 8), expected, "{number:#x}");
        }
    }

    #[test]
    fn ipv6_addresses_fold_by_xor() {
        let address = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        assert_eq!(folded(address), 0x2001_0db8 ^ 0x0001_0002 ^ 0x0003_0004 ^ 0x0005_0006);
        assert_eq!(folded("10.0.0.2".parse().unwrap()), 0x0a00_0002);
    }
}
