//! Addresses in the notations that tests use.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An address as an integer, octets, a `std::net` address or text.
pub trait AddressText<A> {
    /// Panics if text is not an address of the family.
    fn address(self) -> A;
}

macro_rules! address_text {
    ($family:ty: $($form:ty => $convert:expr,)*) => {
        $(impl AddressText<$family> for $form {
            fn address(self) -> $family {
                let convert: fn($form) -> $family = $convert;
                convert(self)
            }
        })*
    };
}

address_text! { u32:
    u32 => |bits| bits,
    [u8; 4] => u32::from_be_bytes,
    Ipv4Addr => Ipv4Addr::to_bits,
    &str => |text| text.parse::<Ipv4Addr>().expect("an IPv4 address").to_bits(),
}

address_text! { u128:
    u128 => |bits| bits,
    Ipv6Addr => Ipv6Addr::to_bits,
    &str => |text| text.parse::<Ipv6Addr>().expect("an IPv6 address").to_bits(),
}
