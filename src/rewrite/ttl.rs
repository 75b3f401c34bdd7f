//! The TTL, decremented by every forwarding method.

use super::Layer3;
use crate::io::Frame;
use crate::packet::ethernet::ETHERNET;

/// Decrements the TTL or hop limit of a frame's packet, which must be above 1.
#[inline(always)]
pub fn decrement_hop_limit<A: Layer3>(frame: &mut impl Frame) {
    if let Some(ip) = frame.bytes_mut().get_mut(ETHERNET..) {
        A::decrement(ip);
    }
}
