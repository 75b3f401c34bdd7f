//! Who is behind a port.

/// Whose packets come in by a port. A device that can hash by one address alone is told to hash by the client's: the
/// source of what clients send, the destination of what servers answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Faces {
    /// Clients and servers, or it was not said: only the whole flow tells packets apart.
    #[default]
    Both,
    /// Requests alone.
    Clients,
    /// Servers' packets alone.
    Servers,
}
