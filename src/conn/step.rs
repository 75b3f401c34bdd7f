//! One state transition, and what it depends on besides the packet.

use super::flags::Flags;

/// Rows of the state tables that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// From the client; both directions pass the director.
    Input,
    /// To the client.
    Output,
    /// From the client; replies do not pass the director (DR, TUN).
    InputOnly,
}

impl Side {
    pub const ALL: [Side; 3] = [Side::Input, Side::Output, Side::InputOnly];
}

/// The TCP table that applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    #[default]
    Normal,
    /// The `secure_tcp` defence: only the destination can establish a connection.
    Secure,
}

/// Result of a packet for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: u8,
    /// Timeout in seconds from this packet.
    pub timeout_s: u32,
    /// [`Flags::INACTIVE`], or empty for a state that counts as active.
    pub count: Flags,
    /// Marks the connection's template as assured.
    pub assures_template: bool,
}

/// [`Step::count`] of a state.
pub(super) const fn count(is_active: bool) -> Flags {
    if is_active { Flags::empty() } else { Flags::INACTIVE }
}

impl Step {
    /// True if the connection counts as active.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.count.is_empty()
    }
}
