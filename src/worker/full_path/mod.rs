//! The full path: every packet that the fast path does not handle.

pub(super) mod fragments;
pub(super) mod icmp_error;
pub(super) mod ipsec;
pub(super) mod martian;
pub(super) mod mss;
mod no_connection;
pub(super) mod persistence;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod schedule;
mod sip_outbound;
mod tunnel_error;
