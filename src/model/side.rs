//! Who is behind a port.

/// Whose packets come in by a port. A device is told to place them by the client's address alone, if it can: by the source of
/// what clients send, the destination of what servers answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortSide {
    /// Clients and servers, or it was not said: only the whole flow tells packets apart.
    #[default]
    Both,
    /// Requests alone.
    Clients,
    /// Servers' packets alone.
    Servers,
}
