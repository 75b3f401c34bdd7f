//! The reset that answers an unexpected segment (RFC 9293 section 3.10.7.1), as the Linux stack sends it.

use super::{Address, Fragment, Packet, Role, checksum, icmp_error, ipv4, ipv6, parse, tcp};

/// Length of a reset packet in bytes.
pub(crate) const IPV4: usize = ipv4::HEADER + tcp::HEADER;
pub(crate) const IPV6: usize = ipv6::HEADER + tcp::HEADER;

const TTL: u8 = 64;
/// ECN bits of TOS and traffic class.
const ECN: u8 = 0x03;

/// Writes the reset that answers the IPv4 packet `offending` to the first [`IPV4`] bytes of `out` and returns that
/// length. `None` if it must not be answered: a reset, a fragment, invalid (also by its checksum), not TCP, or refused
/// by [`icmp_error::may_answer`].
///
/// # Panics
/// If `out` is shorter than [`IPV4`].
pub(crate) fn write_ipv4(out: &mut [u8], offending: &[u8]) -> Option<usize> {
    let packet = parse::ipv4(offending).ok()?;
    let reset = reset(&packet, offending)?;
    let (header, segment) = out[..IPV4].split_at_mut(ipv4::HEADER);
    let (source, destination) = (packet.flow.destination, packet.flow.source);
    ipv4::Header {
        tos: packet.tos & !ECN,
        total_length: IPV4 as u16,
        identification: 0,
        fragment_word: ipv4::DONT_FRAGMENT,
        ttl: TTL,
        protocol: ipv4::TCP,
        source,
        destination,
    }
    .write(header);
    reset.write(segment);
    tcp::write_checksum(segment, source, destination);
    Some(IPV4)
}

/// Writes the reset that answers the IPv6 packet `offending` to the first [`IPV6`] bytes of `out` and returns that
/// length. `None` as for [`write_ipv4`].
///
/// # Panics
/// If `out` is shorter than [`IPV6`].
pub(crate) fn write_ipv6(out: &mut [u8], offending: &[u8]) -> Option<usize> {
    let packet = parse::ipv6(offending).ok()?;
    let reset = reset(&packet, offending)?;
    let (header, segment) = out[..IPV6].split_at_mut(ipv6::HEADER);
    let (source, destination) = (packet.flow.destination, packet.flow.source);
    ipv6::Header {
        traffic_class: packet.tos & !ECN,
        flow_label: 0,
        payload_length: tcp::HEADER as u16,
        next_header: ipv4::TCP,
        hop_limit: TTL,
        source,
        destination,
    }
    .write(header);
    reset.write(segment);
    tcp::write_checksum(segment, source, destination);
    Some(IPV6)
}

/// The header of the reset, if one must be sent.
fn reset<A: Address>(packet: &Packet<A>, bytes: &[u8]) -> Option<tcp::Header> {
    let segment = &bytes[usize::from(packet.header)..usize::from(packet.length)];
    let is_tcp = packet.role == Role::Transport && packet.protocol == ipv4::TCP;
    let answerable = is_tcp
        && packet.fragment == Fragment::Whole
        && packet.tcp_flags & tcp::RST == 0
        && icmp_error::may_answer(packet);
    if !answerable {
        return None;
    }
    let header = tcp::header_length(segment);
    let tuple = packet.flow;
    let sum = checksum::transport(tuple.source, tuple.destination, ipv4::TCP, segment);
    if header < tcp::HEADER || header > segment.len() || sum != 0 {
        return None;
    }
    let answer = tcp::Header {
        source_port: tuple.destination_port,
        destination_port: tuple.source_port,
        flags: tcp::RST,
        ..Default::default()
    };
    if packet.tcp_flags & tcp::ACK != 0 {
        return Some(tcp::Header { sequence: tcp::acknowledgment(segment), ..answer });
    }
    let flag = |bit: u8| u32::from(packet.tcp_flags & bit != 0);
    let payload = (segment.len() - header) as u32;
    // SYN and FIN each occupy one sequence number.
    let consumed = payload + flag(tcp::SYN) + flag(tcp::FIN);
    Some(tcp::Header {
        acknowledgment: tcp::sequence(segment).wrapping_add(consumed),
        flags: tcp::RST | tcp::ACK,
        ..answer
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PacketBuilder, frame};

    fn v4() -> PacketBuilder<u32> {
        frame().ipv4("11.22.33.44", "10.0.0.100").tcp(4000, 81)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Recorded from a Linux director.
    #[test]
    fn a_kernels_resets() {
        let mut out = [0; 100];
        let syn = v4().flags(tcp::SYN).seq(1000).packet();
        assert_eq!(write_ipv4(&mut out, &syn), Some(40));
        assert_eq!(
            hex(&out[..40]),
            "45000028000040004006042b0a0000640b16212c\
             00510fa000000000000003e95014000065510000"
        );
        let ack = frame().ipv4("11.46.196.137", "10.0.0.100").tcp(2017, 80).seq(1001).ack(1);
        assert_eq!(write_ipv4(&mut out, &ack.packet()), Some(40));
        assert_eq!(
            hex(&out[..40]),
            "4500002800004000400660b50a0000640b2ec489\
             005007e1000000010000000050040000cd930000"
        );
    }

    #[test]
    fn payload_syn_and_fin_are_acknowledged() {
        let mut out = [0; IPV6];
        for (flags, payload, expected) in [
            (tcp::SYN, 0, 1000),
            (tcp::FIN, 10, 1010),
            (tcp::SYN | tcp::FIN, 1, 1002),
            (0, 0, 999),
            (tcp::PSH, 3000, 3999),
        ] {
            let sent = frame().ipv6("2001:db8::44", "fd00:a::100").tos(0xbb).hop_by_hop();
            let sent = sent.tcp(4000, 81).flags(flags).seq(999).tcp_options(&[1; 8]);
            let sent = sent.payload(vec![7; payload]).packet();
            assert_eq!(write_ipv6(&mut out, &sent), Some(60));
            let reset = parse::ipv6(&out).unwrap();
            assert_eq!(reset.flow, parse::ipv6(&sent).unwrap().flow.reversed());
            assert_eq!((reset.tcp_flags, reset.ttl, reset.tos), (tcp::RST | tcp::ACK, 64, 0xb8));
            assert_eq!(tcp::acknowledgment(&out[40..]), expected);
            assert_eq!((tcp::sequence(&out[40..]), tcp::window(&out[40..])), (0, 0));
            let tuple = reset.flow;
            assert_eq!(checksum::transport(tuple.source, tuple.destination, 6, &out[40..]), 0);
        }
        let marked = v4().flags(tcp::SYN).tos(0xbb).packet();
        write_ipv4(&mut out, &marked).unwrap();
        assert_eq!(ipv4::tos(&out), 0xb8, "ECN bits are cleared");
        // Sequence numbers wrap.
        let last = v4().flags(tcp::SYN).seq(u32::MAX).packet();
        write_ipv4(&mut out, &last).unwrap();
        assert_eq!(tcp::acknowledgment(&out[20..]), 0);
    }

    #[test]
    fn packets_that_get_no_reset() {
        let mut out = [0; IPV4];
        let damaged = |at: usize, byte: u8| {
            let mut bytes = v4().payload("x").packet();
            bytes[at] = byte;
            bytes
        };
        let short_header = {
            let mut bytes = v4().packet();
            bytes[32] = 0x40;
            tcp::write_checksum(&mut bytes[20..], 0x0b16_212c_u32, 0x0a00_0064);
            bytes
        };
        for bytes in [
            v4().flags(tcp::RST).packet(),
            v4().flags(tcp::SYN | tcp::RST).packet(),
            v4().fragment(0, true).payload([0; 4]).packet(),
            v4().udp(4000, 81).packet(),
            frame().ipv4("11.22.33.44", "224.0.0.1").tcp(1, 2).packet(),
            damaged(40, b'y'),
            short_header,
            vec![0x45; 10],
        ] {
            assert_eq!(write_ipv4(&mut out, &bytes), None, "{bytes:?}");
        }
        assert_eq!(out, [0; IPV4]);
        assert_eq!(write_ipv4(&mut out, &v4().packet()), Some(40));
    }
}
