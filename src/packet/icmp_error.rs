//! ICMP and ICMPv6 errors about a packet: if one may be sent, and its content, which equals that of the Linux stack.

use super::{Address, Fragment, Packet, icmp, ipv4, ipv6};
use crate::model::Family;
use std::net::IpAddr;

/// Maximum length of an ICMP error in bytes: what every host can reassemble (RFC 1812 section 4.3.2.3).
pub(crate) const IPV4_MAX: usize = 576;
/// Maximum length of an ICMPv6 error in bytes: the minimum MTU (RFC 4443 section 2.4 c).
pub(crate) const IPV6_MAX: usize = 1280;

/// TOS "internetwork control", the precedence of routers' messages (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;
const TTL: u8 = 64;

/// True if an error may be sent about this packet (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e): it is not an ICMP
/// error or a later fragment, and its addresses are unicast. The caller checks multicast MAC addresses and subnet
/// broadcasts.
pub(crate) fn may_answer<A: Address>(packet: &Packet<A>) -> bool {
    let about_an_error = packet.protocol == icmp::protocol(A::FAMILY)
        && packet.fragment != Fragment::Later
        && is_error_or_unknown(A::FAMILY, packet.icmp_type);
    packet.fragment != Fragment::Later
        && !about_an_error
        && is_one_host(packet.source())
        && is_one_host(packet.destination())
}

/// True if the checksum of an ICMP error with its IP header at `ip` is correct. That of a fragment cannot be verified
/// and counts as correct.
pub(crate) fn has_valid_checksum<A: Address>(ip: &[u8], packet: &Packet<A>) -> bool {
    if packet.fragment != Fragment::Whole {
        return true;
    }
    let message = &ip[usize::from(packet.header)..usize::from(packet.length)];
    icmp::verify(packet.source(), packet.destination(), message) == 0
}

/// Unknown types may be future errors. An ICMPv6 redirect counts as an error although its number says otherwise.
fn is_error_or_unknown(family: Family, message_type: u8) -> bool {
    match family {
        Family::Ipv4 => icmp::is_error(family, message_type) || message_type > 18,
        Family::Ipv6 => message_type < 128 || message_type == icmp::v6::REDIRECT,
    }
}

/// True for unicast addresses of other hosts: not unspecified, multicast, broadcast or loopback. Class E addresses
/// count as hosts: RFC 1122 reserves them, but some networks use them and Linux answers them.
fn is_one_host<A: Address>(address: A) -> bool {
    match address.to_ip() {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first != 0 && first != 127 && !address.is_multicast() && !address.is_broadcast()
        }
        IpAddr::V6(address) => {
            !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
        }
    }
}

/// Writes an ICMP error from `source` to the sender of the packet in `offending`: an IPv4 packet of at most
/// [`IPV4_MAX`] bytes. Returns its length. `mtu` is that of a "fragmentation needed", else 0.
///
/// # Panics
/// If `offending` is shorter than an IPv4 header, or `out` is shorter than two of them and the ICMP header. If `out` is
/// shorter than [`IPV4_MAX`], the quotation is shortened.
pub(crate) fn write_ipv4(
    out: &mut [u8],
    source: u32,
    offending: &[u8],
    message_type: u8,
    code: u8,
    mtu: u16,
    identification: u16,
) -> usize {
    let announced = usize::from(ipv4::total_length(offending));
    let quoted = &offending[..announced.min(offending.len())];
    let length = (ipv4::HEADER + icmp::HEADER + quoted.len()).min(IPV4_MAX).min(out.len());
    let (header, message) = out[..length].split_at_mut(ipv4::HEADER);
    let destination = ipv4::source(offending);
    ipv4::Header {
        tos: TOS,
        total_length: length as u16,
        identification,
        fragment_word: 0,
        ttl: TTL,
        protocol: ipv4::ICMP,
        source,
        destination,
    }
    .write(header);
    write_message(message, message_type, code, mtu, quoted);
    icmp::write_checksum(message, source, destination);
    length
}

/// Writes an ICMPv6 error from `source` to the sender of the packet in `offending`: an IPv6 packet of at most
/// [`IPV6_MAX`] bytes. Returns its length. `mtu` is that of a "packet too big", else 0.
///
/// # Panics
/// If `offending` is shorter than an IPv6 header, or `out` is shorter than two of them and the ICMP header. If `out` is
/// shorter than [`IPV6_MAX`], the quotation is shortened.
pub(crate) fn write_ipv6(
    out: &mut [u8],
    source: u128,
    offending: &[u8],
    message_type: u8,
    code: u8,
    mtu: u16,
) -> usize {
    let announced = ipv6::HEADER + usize::from(ipv6::payload_length(offending));
    let quoted = &offending[..announced.min(offending.len())];
    let length = (ipv6::HEADER + icmp::HEADER + quoted.len()).min(IPV6_MAX).min(out.len());
    let (header, message) = out[..length].split_at_mut(ipv6::HEADER);
    let destination = ipv6::source(offending);
    ipv6::Header {
        payload_length: message.len() as u16,
        next_header: ipv6::ICMPV6,
        hop_limit: TTL,
        source,
        destination,
        ..Default::default()
    }
    .write(header);
    write_message(message, message_type, code, mtu, quoted);
    icmp::write_checksum(message, source, destination);
    length
}

/// Writes the header without checksum, and as much of the quotation as fits `message`.
fn write_message(message: &mut [u8], message_type: u8, code: u8, mtu: u16, quoted: &[u8]) {
    icmp::write(message, message_type, code, u32::from(mtu));
    let room = message.len() - icmp::HEADER;
    message[icmp::HEADER..].copy_from_slice(&quoted[..room]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Role, ethernet::ETHERNET, parse};
    use crate::testing::{PacketBuilder, frame};

    fn v4() -> PacketBuilder<u32> {
        frame().ipv4("11.22.33.44", "10.0.0.100")
    }

    fn v6() -> PacketBuilder<u128> {
        frame().ipv6("2001:db8::44", "fd00:a::100")
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    /// Request to and answer of a Linux director without a usable destination.
    #[test]
    fn a_kernels_port_unreachable() {
        let asked = frame().ipv4("77.15.238.71", "10.0.0.100").identification(9).udp(2001, 53);
        let mut asked = asked.payload("ping").build().split_off(ETHERNET);
        asked.extend([0; 14]);
        let mut out = [0; 1500];
        let length = write_ipv4(&mut out, 0x0a00_0064, &asked, 3, 3, 0, 0x4f44);
        let expected = "45c0003c4f4400004001e5020a0000644d0fee47030342d500000000\
             45000020000900004011350a4d0fee470a00006407d10035000cd34470696e67";
        assert_eq!(out[..length], unhex(expected));
    }

    #[test]
    fn quotations_end_at_the_maximum_length() {
        let mut out = [0xff; 1500];
        let long = v4().df().tcp(4000, 80).payload([0x7a; 1460]).packet();
        let length = write_ipv4(&mut out, 0x0a00_0064, &long, 3, 4, 1480, 1);
        assert_eq!(length, 576);
        let error = parse::ipv4(&out[..length]).unwrap();
        assert_eq!(
            (error.role, error.length, error.tos, error.ttl),
            (Role::IcmpError, 576, 0xc0, 64)
        );
        assert_eq!(error.flow, parse::ipv4(&long).unwrap().flow);
        assert_eq!(icmp::rest(&out[20..]), 1480);
        assert_eq!(out[28..576], long[..548]);

        let long = v6().tcp(4000, 80).payload([0x7a; 1440]).packet();
        let length = write_ipv6(&mut out, 0xfd, &long, 2, 0, 1400);
        assert_eq!(length, 1280);
        let error = parse::ipv6(&out[..length]).unwrap();
        assert_eq!((error.role, error.length, error.ttl), (Role::IcmpError, 1280, 64));
        assert_eq!((error.icmp_type, icmp::rest(&out[40..])), (2, 1400));
        assert_eq!(error.flow, parse::ipv6(&long).unwrap().flow);

        let length = write_ipv6(&mut out[..100], 0xfd, &long, 2, 0, 1400);
        assert_eq!(length, 100);
        assert_eq!(parse::ipv6(&out[..length]).map(|packet| packet.length), Ok(100));
    }

    #[test]
    fn padding_is_not_quoted() {
        let mut out = [0; 1500];
        let short = [v6().udp(1, 2).packet(), vec![0; 6]].concat();
        assert_eq!(write_ipv6(&mut out, 1, &short, 1, 4, 0), 48 + 48);
    }

    #[test]
    fn packets_that_must_not_be_answered() {
        let quoted = frame().ipv4("10.0.0.100", "11.22.33.44").tcp(80, 4000).packet();
        let from = |source: &str| frame().ipv4(source, "10.0.0.100").udp(1, 2);
        let to = |destination: &str| frame().ipv4("11.22.33.44", destination).udp(1, 2);
        for (built, expected) in [
            (v4().tcp(1, 2), true),
            (v4().udp(1, 2).fragment(0, true), true),
            (v4().protocol(17).fragment(8, true), false),
            (v4().protocol(47), true),
            (v4().icmp(8, 0, 1), true),
            (v4().icmp(42, 0, 1), false),
            (v4().icmp_error(3, 3, 0, &quoted), false),
            (v4().icmp_error(5, 1, 0, &[]), false),
            (from("0.0.0.0"), false),
            (from("127.0.0.1"), false),
            (from("224.0.0.1"), false),
            (from("255.255.255.255"), false),
            (from("240.0.0.1"), true),
            (to("224.0.0.18"), false),
            (to("255.255.255.255"), false),
        ] {
            let packet = parse::ipv4(&built.packet()).unwrap();
            assert_eq!(may_answer(&packet), expected, "{built:?}");
        }
        let from = |source: &str| frame().ipv6(source, "fd00:a::100").udp(1, 2);
        for (built, expected) in [
            (v6().tcp(1, 2), true),
            (v6().protocol(17).fragment(8, true), false),
            (v6().icmp(128, 0, 1), true),
            (v6().icmp(137, 0, 1), false),
            (v6().icmp_error(1, 4, 0, &[]), false),
            (v6().icmp_error(100, 4, 0, &[]), false),
            (from("::"), false),
            (from("::1"), false),
            (from("ff02::1"), false),
            (frame().ipv6("2001:db8::44", "ff02::1").udp(1, 2), false),
        ] {
            let packet = parse::ipv6(&built.packet()).unwrap();
            assert_eq!(may_answer(&packet), expected, "{built:?}");
        }
    }
}
