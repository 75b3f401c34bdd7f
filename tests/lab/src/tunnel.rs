//! Decapsulation for servers whose kernel has no such tunnels: the headers of tunnel packets, and a TUN device that
//! receives the inner packets.
//!
//! The request that creates a TUN device is the only `unsafe` call here.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

/// Flags for checksum, key and sequence number (RFC 2890 section 2).
const GRE_CHECKSUM: u8 = 0x80;
const GRE_KEY: u8 = 0x20;
const GRE_SEQUENCE: u8 = 0x10;

/// The bytes after an IP header of this length; the whole packet if the header is invalid.
fn ipv4_payload(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    packet.get(length..)
}

/// The inner packet of IPv4 protocol 4 or 41, as read from a raw IPv4 socket.
pub fn from_ipip(packet: &[u8]) -> Option<&[u8]> {
    internet_packet(ipv4_payload(packet)?)
}

/// The inner packet of IPv4 protocol 47 (GRE), as read from a raw IPv4 socket.
pub fn from_gre_over_ipv4(packet: &[u8]) -> Option<&[u8]> {
    from_gre(ipv4_payload(packet)?)
}

/// The inner packet after a GRE header (RFC 2784, RFC 2890).
pub fn from_gre(message: &[u8]) -> Option<&[u8]> {
    let flags = *message.first()?;
    let optional = [GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE];
    let length = 4 + 4 * optional.iter().filter(|&&flag| flags & flag != 0).count();
    let version = message.get(1)? & 0x07;
    let kind = u16::from_be_bytes([*message.get(2)?, *message.get(3)?]);
    if version != 0 || !matches!(kind, 0x0800 | 0x86dd) {
        return None;
    }
    internet_packet(message.get(length..)?)
}

/// The inner packet after a GUE header (draft-ietf-intarea-gue): variant 0 with its header length in 4-byte words, or
/// variant 1, which is the packet itself.
pub fn from_gue(datagram: &[u8]) -> Option<&[u8]> {
    let first = *datagram.first()?;
    match first >> 6 {
        0 if first & 0x20 == 0 => {
            internet_packet(datagram.get(4 + usize::from(first & 0x1f) * 4..)?)
        }
        1 => internet_packet(datagram),
        _ => None,
    }
}

/// These bytes, if they begin with an IPv4 or IPv6 version.
pub fn internet_packet(bytes: &[u8]) -> Option<&[u8]> {
    matches!(bytes.first()? >> 4, 4 | 6).then_some(bytes)
}

/// Creates a TUN device that is removed with the returned file: one write delivers one packet.
///
/// # Errors
/// If the kernel has no TUN, the name is taken, or the caller is not root.
pub fn make_device(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all zeros are a valid `ifreq`, which has only numbers and bytes.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the device's name is too long"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which outlives the call.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An outer IPv4 header of 20 bytes before `inside`.
    fn outer(inside: &[u8]) -> Vec<u8> {
        [&[0x45][..], &[0; 19], inside].concat()
    }

    #[test]
    fn headers_are_removed() {
        let inner = [0x45, 1, 2, 3];
        let inner_v6 = [0x60, 1, 2, 3];
        let with = |header: &[u8], inner: &[u8]| [header, inner].concat();
        assert_eq!(from_ipip(&outer(&inner)), Some(&inner[..]));
        assert_eq!(from_ipip(&outer(&inner_v6)), Some(&inner_v6[..]));
        assert_eq!(from_gre(&with(&[0, 0, 8, 0], &inner)), Some(&inner[..]));
        assert_eq!(from_gre(&with(&[0x80, 0, 8, 0, 1, 2, 0, 0], &inner)), Some(&inner[..]));
        let gre = outer(&with(&[0, 0, 0x86, 0xdd], &inner_v6));
        assert_eq!(from_gre_over_ipv4(&gre), Some(&inner_v6[..]));
        assert_eq!(from_gue(&with(&[0, 4, 0, 0], &inner)), Some(&inner[..]));
        assert_eq!(from_gue(&with(&[1, 4, 0, 0, 9, 9, 9, 9], &inner)), Some(&inner[..]));
        assert_eq!(from_gue(&inner), Some(&inner[..]));
    }

    #[test]
    fn packets_without_an_inner_packet_are_ignored() {
        for bytes in [&[][..], &[0x45], &[0x20; 30], &[0x00; 30], &[0xff; 40]] {
            assert_eq!(from_ipip(bytes), None, "{bytes:?}");
            assert_eq!(from_gre(bytes), None, "{bytes:?}");
        }
        for bytes in [&[][..], &[0x20, 4, 0, 0, 0x45], &[0, 4, 0, 0], &[0xc0; 20]] {
            assert_eq!(from_gue(bytes), None, "{bytes:?}");
        }
    }
}
