//! What happens to packets for a local address that nothing takes.

/// The answer of a local address to packets that no service, connection or answer of the director takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unserved {
    /// TCP is reset; UDP gets port unreachable, as from any host (RFC 1122 section 3.2.2.1).
    #[default]
    Reject,
    /// The packet is dropped silently.
    Drop,
    /// The host's own stack gets it, by the kernel interface. On an interface without one: as [`Unserved::Reject`].
    Kernel,
}
