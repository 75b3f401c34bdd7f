//! Direct routing: the packet stays as it is but for TTL and the link-layer addresses.

use super::Layer3;
use crate::io::Frame;
use crate::packet::ethernet::ETHERNET;

/// Takes one off the hop limit of a frame's packet, which the caller has checked to be above 1.
#[inline(always)]
pub fn decrement_hop_limit<A: Layer3>(frame: &mut impl Frame) {
    if let Some(ip) = frame.bytes_mut().get_mut(ETHERNET..) {
        A::decrement(ip);
    }
}
