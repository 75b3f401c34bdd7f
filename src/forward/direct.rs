//! Direct routing: the packet stays as it is but for TTL and the link-layer addresses.

use super::Layer3;
use crate::packet::ethernet::ETHERNET;
use crate::port::Frame;

/// Takes one off the hop limit of a frame's packet, which the caller has checked to be above 1.
#[inline(always)]
pub fn decrement_hop_limit<A: Layer3>(frame: &mut impl Frame) {
    if let Some(ip) = frame.bytes_mut().get_mut(ETHERNET..) {
        A::decrement(ip);
    }
}
