//! Echo requests for a local address, answered as Linux does: same payload, same TOS, from the address original_destination.

use super::network::Network;
use super::{IpHost, Outbox, local};
use crate::io::Frame;
use crate::model::Family;
use crate::packet::{Fragment, Packet, ethernet, icmp};
use crate::reason::{DropReason, Punt};
use crate::time::Instant;

impl<F: Frame> IpHost<F> {
    pub(super) fn echo<A: Network>(
        &mut self,
        punt: &Punt<F>,
        packet: &Packet<A>,
        now: Instant,
        out: &mut impl Outbox<F>,
    ) {
        let (request, reply) = match A::FAMILY {
            Family::Ipv4 => (icmp::v4::ECHO_REQUEST, icmp::v4::ECHO_REPLY),
            Family::Ipv6 => (icmp::v6::ECHO_REQUEST, icmp::v6::ECHO_REPLY),
        };
        let (asker, original_destination) = (packet.source(), packet.destination());
        // Fragments are not put together here; the kernel would.
        let is_echo = packet.fragment == Fragment::Whole
            && packet.protocol == icmp::protocol(A::FAMILY)
            && packet.icmp_type == request
            && packet.icmp_code == 0;
        let frame = punt.frame.bytes();
        if !is_echo
            || !self.local.is_local(original_destination.to_ip())
            || ethernet::is_multicast(ethernet::destination(frame))
            || local::is_no_host(asker.to_ip())
            || self.local.is_local(asker.to_ip())
            || self.local.is_broadcast(asker.to_ip())
        {
            return self.drop(DropReason::NoLocalHandler);
        }
        let datagram = &frame[ethernet::ETHERNET..][..usize::from(packet.length)];
        let message = &datagram[usize::from(packet.header)..];
        if icmp::verify(asker, original_destination, message) != 0 {
            return self.drop(DropReason::BadIcmpChecksum);
        }
        if !self.limiters.echo.allow(asker.to_ip(), now) {
            return self.drop(DropReason::IcmpRateLimited);
        }
        let Some(way) = self.way(Some(punt.interface), asker.to_ip()) else {
            return self.drop(DropReason::NoRoute);
        };
        let identification = self.next_identification();
        let length = A::HEADER + message.len();
        let write = |out: &mut [u8]| {
            A::write_reply_header(out, packet, message.len(), identification);
            let answer = &mut out[A::HEADER..length];
            answer.copy_from_slice(message);
            answer[0] = reply;
            icmp::write_checksum(answer, original_destination, asker);
            length
        };
        self.send_packet::<A>(way, length, write, now, out);
    }
}
