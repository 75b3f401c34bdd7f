//! What a kernel interface is.

use crate::model::{InterfaceId, PortId};

/// A kernel interface to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelInterface {
    /// The director's interface, and its port.
    pub interface: InterfaceId,
    pub port: PortId,
    /// Name in the host.
    pub name: String,
    pub mac: [u8; 6],
    /// Largest IP packet in bytes.
    pub mtu: u16,
}
