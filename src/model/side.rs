//! Which side of the director a port connects.

/// Which hosts send the packets that a port receives. If it is only one side, the device hashes by the client's address
/// alone, if it can: by the source of requests, by the destination of replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortSide {
    /// Clients and servers. The device hashes the whole flow.
    #[default]
    Both,
    /// Only clients.
    Clients,
    /// Only servers.
    Servers,
}
