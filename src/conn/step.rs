//! What a packet does to its connection, and what that depends on beside the packet.

use super::flags::Flags;

/// Which rows of the state tables apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// From the client, of a connection both of whose directions are seen.
    Input,
    /// To the client.
    Output,
    /// From the client, of a connection whose replies pass the director by (DR, TUN).
    InputOnly,
}

impl Side {
    pub const ALL: [Side; 3] = [Side::Input, Side::Output, Side::InputOnly];
}

/// Which TCP table applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    #[default]
    Normal,
    /// The `secure_tcp` defence: a connection is established by its destination only.
    Secure,
}

/// Where a packet takes its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: u8,
    /// Seconds from this packet.
    pub timeout_s: u32,
    /// [`Flags::INACTIVE`] or nothing: counted among its destination's inactive connections, or else the active ones.
    pub count: Flags,
    /// The template that controls the connection is to be marked as assured.
    pub assures_template: bool,
}

/// [`Step::count`] of a state.
pub(super) const fn count(is_active: bool) -> Flags {
    if is_active { Flags::empty() } else { Flags::INACTIVE }
}

impl Step {
    /// Counted among the active connections.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.count.is_empty()
    }
}
