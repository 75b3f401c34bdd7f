//! The Ethernet header (IEEE 802.3): two MAC addresses and a type.

use crate::model::Family;
use crate::reason::DropReason;

/// Length of the header in bytes.
pub const ETHERNET: usize = 14;
/// Minimum length of a frame without FCS; shorter ones are padded when sent.
pub const SHORTEST: usize = 60;
pub const BROADCAST: [u8; 6] = [0xff; 6];
/// The multicast bit in the first byte of an address.
pub const GROUP: u8 = 1;

/// EtherType, or below 1536 a length. Stored in network byte order: it is only compared and written, which needs no
/// byte swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtherType(u16);

impl EtherType {
    pub const IPV4: Self = EtherType::new(0x0800);
    pub const ARP: Self = EtherType::new(0x0806);
    pub const IPV6: Self = EtherType::new(0x86dd);

    pub const fn new(number: u16) -> Self {
        EtherType(number.to_be())
    }

    /// The EtherType of an address family.
    pub const fn of(family: Family) -> Self {
        match family {
            Family::Ipv4 => EtherType::IPV4,
            Family::Ipv6 => EtherType::IPV6,
        }
    }

    /// The two bytes in network byte order.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 2] {
        self.0.to_ne_bytes()
    }
}

/// Payload of a frame, by its EtherType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Ipv4,
    Ipv6,
    Arp,
    /// Any other EtherType, or a length below 1536.
    Other(EtherType),
}

#[inline]
pub fn ether_type(frame: &[u8]) -> EtherType {
    EtherType(u16::from_ne_bytes([frame[12], frame[13]]))
}

/// Returns a frame's payload type; [`DropReason::TooShort`] if the header is incomplete.
#[inline]
pub fn ethernet(bytes: &[u8]) -> Result<Payload, DropReason> {
    let Some(header) = bytes.first_chunk::<ETHERNET>() else { return Err(DropReason::TooShort) };
    Ok(match ether_type(header) {
        EtherType::IPV4 => Payload::Ipv4,
        EtherType::IPV6 => Payload::Ipv6,
        EtherType::ARP => Payload::Arp,
        other => Payload::Other(other),
    })
}

/// Destination MAC address.
#[inline]
pub fn destination(frame: &[u8]) -> [u8; 6] {
    [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]]
}

/// Source MAC address.
#[inline]
pub fn source(frame: &[u8]) -> [u8; 6] {
    destination(&frame[6..])
}

#[inline]
pub fn set_destination(frame: &mut [u8], address: [u8; 6]) {
    frame[..6].copy_from_slice(&address);
}

#[inline]
pub fn set_source(frame: &mut [u8], address: [u8; 6]) {
    frame[6..12].copy_from_slice(&address);
}

/// Writes the whole header to the first [`ETHERNET`] bytes.
#[inline]
pub fn write(frame: &mut [u8], destination: [u8; 6], source: [u8; 6], ether_type: EtherType) {
    set_destination(frame, destination);
    set_source(frame, source);
    frame[12..ETHERNET].copy_from_slice(&ether_type.octets());
}

/// True for multicast and broadcast addresses.
#[inline]
pub const fn is_multicast(address: [u8; 6]) -> bool {
    address[0] & GROUP != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_by_ethertype() {
        for (number, expected) in [
            (0x0800, Payload::Ipv4),
            (0x86dd, Payload::Ipv6),
            (0x0806, Payload::Arp),
            (0x8100, Payload::Other(EtherType::new(0x8100))),
            (0x0026, Payload::Other(EtherType::new(38))),
        ] {
            let mut frame = [0; ETHERNET];
            let (to, from) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0xfe, 0xfe]);
            write(&mut frame, to, from, EtherType::new(number));
            assert_eq!(frame[12..], number.to_be_bytes());
            assert_eq!(ether_type(&frame), EtherType::new(number));
            assert_eq!(ethernet(&frame), Ok(expected));
            assert_eq!(destination(&frame), [2, 0, 0, 0, 0, 1]);
            assert_eq!(source(&frame), [2, 0, 0, 0, 0xfe, 0xfe]);
            assert_eq!(ethernet(&frame[..13]), Err(DropReason::TooShort));
        }
    }

    #[test]
    fn groups() {
        assert!(is_multicast(BROADCAST));
        assert!(is_multicast([0x33, 0x33, 0, 0, 0, 1]));
        assert!(!is_multicast([2, 0, 0, 0, 0, 1]));
    }
}
