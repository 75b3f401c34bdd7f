//! ARP for IPv4 over Ethernet (RFC 826), and address announcements (RFC 5227 section 3).

use super::{ethernet, wire};
use ethernet::{ETHERNET, EtherType};

/// Length of an ARP packet without Ethernet header, in bytes.
pub const ARP: usize = 28;
/// Length in bytes of the frame that [`Arp::write`] creates, before padding.
pub const FRAME: usize = ETHERNET + ARP;

/// Hardware type Ethernet, protocol type IPv4, and their address lengths.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Request,
    Reply,
}

/// One ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    pub operation: Operation,
    pub sender_mac: [u8; 6],
    pub sender: u32,
    pub target_mac: [u8; 6],
    pub target: u32,
}

impl Arp {
    /// Parses the bytes after the Ethernet header. `None` if they are cut off, for other hardware, protocols or
    /// operations, and if the sender's MAC address is a multicast address.
    pub fn parse(bytes: &[u8]) -> Option<Arp> {
        let bytes = bytes.first_chunk::<ARP>()?;
        if bytes[..6] != ETHERNET_IPV4 {
            return None;
        }
        let operation = match wire::get16(bytes, 6) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return None,
        };
        let sender_mac = ethernet::destination(&bytes[8..]);
        (!ethernet::is_multicast(sender_mac)).then(|| Arp {
            operation,
            sender_mac,
            sender: wire::get32(bytes, 14),
            target_mac: ethernet::destination(&bytes[18..]),
            target: wire::get32(bytes, 24),
        })
    }

    /// A request for the MAC address of `target`.
    pub fn request(mac: [u8; 6], sender: u32, target: u32) -> Arp {
        let operation = Operation::Request;
        Arp { operation, sender_mac: mac, sender, target_mac: [0; 6], target }
    }

    /// The reply to this request: its target has the address `mac`.
    pub fn answer(&self, mac: [u8; 6]) -> Arp {
        Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Announces `address` at `mac` as keepalived does: a broadcast request for one's own address.
    pub fn announcement(mac: [u8; 6], address: u32) -> Arp {
        Arp { target_mac: ethernet::BROADCAST, ..Arp::request(mac, address, address) }
    }

    /// Writes a frame to `destination` from the sender's MAC address to `out`: [`FRAME`] bytes, and zeros up to the
    /// minimum Ethernet frame if `out` has room. Returns the length.
    ///
    /// # Panics
    /// If `out` is shorter than [`FRAME`].
    pub fn write(&self, out: &mut [u8], destination: [u8; 6]) -> usize {
        let length = out.len().min(ethernet::SHORTEST);
        let out = &mut out[..length];
        ethernet::write(out, destination, self.sender_mac, EtherType::ARP);
        let (arp, padding) = out[ETHERNET..].split_at_mut(ARP);
        arp[..6].copy_from_slice(&ETHERNET_IPV4);
        wire::set16(
            arp,
            6,
            match self.operation {
                Operation::Request => 1,
                Operation::Reply => 2,
            },
        );
        ethernet::set_destination(&mut arp[8..], self.sender_mac);
        wire::set32(arp, 14, self.sender);
        ethernet::set_destination(&mut arp[18..], self.target_mac);
        wire::set32(arp, 24, self.target);
        padding.fill(0);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const THEIRS: [u8; 6] = [2, 0, 0, 0, 0xfe, 0xfe];

    #[test]
    fn a_request_and_its_reply() {
        let request = Arp::request(THEIRS, 0x0a00_00fe, 0x0a00_0064);
        let mut frame = [0xff; 100];
        assert_eq!(request.write(&mut frame, ethernet::BROADCAST), 60);
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0xfe, 0xfe, 8, 6, 0, 1, 8, 0, 6, 4, 0,
            1, 2, 0, 0, 0, 0xfe, 0xfe, 10, 0, 0, 0xfe, 0, 0, 0, 0, 0, 0, 10, 0, 0, 100,
        ];
        assert_eq!(frame[..FRAME], expected);
        assert_eq!(frame[FRAME..60], [0; 18]);
        assert_eq!(frame[60..], [0xff; 40]);
        assert_eq!(Arp::parse(&frame[ETHERNET..]), Some(request));

        let answer = request.answer(MINE);
        let mut frame = [0; FRAME];
        assert_eq!(answer.write(&mut frame, request.sender_mac), FRAME);
        assert_eq!((ethernet::destination(&frame), ethernet::source(&frame)), (THEIRS, MINE));
        let read = Arp::parse(&frame[ETHERNET..]).unwrap();
        assert_eq!(read, answer);
        assert_eq!((read.operation, read.sender_mac), (Operation::Reply, MINE));
        assert_eq!((read.sender, read.target_mac, read.target), (0x0a00_0064, THEIRS, 0x0a00_00fe));
    }

    #[test]
    fn an_announcement_asks_for_its_own_address() {
        let arp = Arp::announcement(MINE, 0x0a00_0064);
        assert_eq!(
            (arp.operation, arp.sender, arp.target),
            (Operation::Request, arp.target, 0x0a00_0064)
        );
        assert_eq!(arp.target_mac, ethernet::BROADCAST);
    }

    #[test]
    fn other_packets_than_arp_for_ipv4_over_ethernet() {
        let mut frame = [0; FRAME];
        Arp::request(THEIRS, 1, 2).write(&mut frame, ethernet::BROADCAST);
        let good = &frame[ETHERNET..];
        for length in 0..ARP {
            assert_eq!(Arp::parse(&good[..length]), None);
        }
        for (at, byte) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3), (7, 0), (6, 1), (8, 3)] {
            let mut bad = good.to_vec();
            bad[at] = byte;
            assert_eq!(Arp::parse(&bad), None, "{at}");
        }
    }
}
