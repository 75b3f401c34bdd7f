//! TCP states: the tables of the specification, one column for each state.

use director::packet::tcp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    None,
    Established,
    SynSent,
    SynReceived,
    FinWait,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    SynAck,
}

use TcpState::*;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Input,
    Output,
    InputOnly,
}

const STATES: [(&str, TcpState, &str, u64, bool); 11] = [
    ("NO", None, "NONE", 2, false),
    ("ES", Established, "ESTABLISHED", 900, true),
    ("SS", SynSent, "SYN_SENT", 120, true),
    ("SR", SynReceived, "SYN_RECV", 60, true),
    ("FW", FinWait, "FIN_WAIT", 120, false),
    ("TW", TimeWait, "TIME_WAIT", 120, false),
    ("CL", Close, "CLOSE", 10, false),
    ("CW", CloseWait, "CLOSE_WAIT", 60, false),
    ("LA", LastAck, "LAST_ACK", 30, false),
    ("LI", Listen, "LISTEN", 120, false),
    ("SA", SynAck, "SYNACK", 120, true),
];

/// Rows: SYN, FIN, ACK, RST of Input, then of Output, then of InputOnly. A dot keeps the state.
type Table = [&'static str; 12];

#[rustfmt::skip]
const NORMAL: Table = [
    "SR . ES . SR SR SR SR SR SR SR",
    "CL CW . TW TW . . . . . TW",
    "ES . . ES . . . . CL . ES",
    "CL CL CL . CL CL . CL . . SR",
    "SS . . . SS SS SS SS SS . SR",
    "TW FW . TW . . . TW . . TW",
    "ES . . ES . . . . . ES ES",
    "CL CL . CL CL . . CL CL CL CL",
    "SR . ES . SR SR SR SR SR SR SR",
    "CL FW . TW . . . . . . TW",
    "ES . . ES . . . . CL . ES",
    "CL CL CL . CL CL . CL . . CL",
];

#[rustfmt::skip]
const SECURE: Table = [
    "SR . ES . SR SR SR SR SR SR .",
    "CL CW . TW TW . . . . . .",
    "ES . . . . . . . CL . .",
    "CL CL CL . CL CL . CL . . CL",
    "SS . . SA SS SS SS SS SS . .",
    "TW FW . TW . . . TW . . TW",
    "ES . . ES . . . . . ES ES",
    "CL CL . CL CL . . CL CL CL CL",
    "SA . ES . SA SA SA SA SA SA .",
    "CL FW . TW . . . . . . TW",
    "ES . . ES . . . . CL . ES",
    "CL CL CL . CL CL . CL . . CL",
];

impl TcpState {
    fn row(self) -> &'static (&'static str, TcpState, &'static str, u64, bool) {
        &STATES[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Timeouts in seconds, except the two that can be set.
    pub fn timeout_s(self) -> u64 {
        self.row().3
    }

    pub fn is_active(self) -> bool {
        self.row().4
    }

    /// The next state after a segment.
    pub fn after(self, side: Side, flags: u8, is_secure: bool) -> TcpState {
        let row = if flags & tcp::RST != 0 {
            3
        } else if flags & tcp::SYN != 0 {
            0
        } else if flags & tcp::FIN != 0 {
            1
        } else if flags & tcp::ACK != 0 {
            2
        } else {
            return Close;
        };
        let table = if is_secure { &SECURE } else { &NORMAL };
        let column = table[side as usize * 4 + row].split(' ').nth(self as usize);
        let short = column.expect("a column for every state");
        STATES.iter().find(|state| state.0 == short).map_or(self, |state| state.1)
    }
}
