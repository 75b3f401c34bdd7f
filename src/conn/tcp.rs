//! TCP states as IPVS tracks them: each packet is one event, by its flags.

use super::step::{Mode, Side};

/// Numbered as in IPVS's synchronisation messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum TcpState {
    #[default]
    None = 0,
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait = 4,
    TimeWait = 5,
    Close = 6,
    CloseWait = 7,
    LastAck = 8,
    Listen = 9,
    SynAck = 10,
}

/// Number of states.
pub(crate) const STATES: usize = 11;

/// Timeout of each state in seconds; the first two values of `ipvsadm --set` replace ESTABLISHED and FIN_WAIT.
pub(crate) const TIMEOUTS_S: [u32; STATES] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120];

impl TcpState {
    pub(crate) const ALL: [TcpState; STATES] = [NO, ES, SS, SR, FW, TW, CL, CW, LA, LI, SA];

    /// The state with this number; NONE for unknown numbers.
    #[inline]
    pub(crate) const fn from_number(number: u8) -> TcpState {
        if (number as usize) < STATES { TcpState::ALL[number as usize] } else { NO }
    }

    /// Name in listings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            NO => "NONE",
            ES => "ESTABLISHED",
            SS => "SYN_SENT",
            SR => "SYN_RECV",
            FW => "FIN_WAIT",
            TW => "TIME_WAIT",
            CL => "CLOSE",
            CW => "CLOSE_WAIT",
            LA => "LAST_ACK",
            LI => "LISTEN",
            SA => "SYNACK",
        }
    }

    /// True if it counts as an active connection of its destination.
    #[inline]
    pub(crate) const fn is_active(self) -> bool {
        matches!(self, ES | SS | SR | SA)
    }
}

/// The only flag of a packet that the state machine uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpEvent {
    Syn = 0,
    Fin = 1,
    Ack = 2,
    Reset = 3,
    /// None of the four.
    Nothing = 4,
}

/// Number of events.
pub(super) const EVENTS: usize = 5;

/// The event of each combination of the low five flag bits, which contain the four.
const OF_FLAGS: [TcpEvent; 32] = {
    let mut events = [TcpEvent::Nothing; 32];
    let mut flags = 0;
    while flags < events.len() {
        events[flags] = TcpEvent::first_of(flags as u8);
        flags += 1;
    }
    events
};

impl TcpEvent {
    pub(super) const ALL: [TcpEvent; EVENTS] =
        [TcpEvent::Syn, TcpEvent::Fin, TcpEvent::Ack, TcpEvent::Reset, TcpEvent::Nothing];

    /// From the flags byte of the header (RFC 9293 section 3.1): RST before SYN before FIN before ACK.
    #[inline]
    pub const fn from_flags(flags: u8) -> TcpEvent {
        OF_FLAGS[flags as usize % OF_FLAGS.len()]
    }

    const fn first_of(flags: u8) -> TcpEvent {
        const FIN: u8 = 0x01;
        const SYN: u8 = 0x02;
        const RST: u8 = 0x04;
        const ACK: u8 = 0x10;
        if flags & RST != 0 {
            TcpEvent::Reset
        } else if flags & SYN != 0 {
            TcpEvent::Syn
        } else if flags & FIN != 0 {
            TcpEvent::Fin
        } else if flags & ACK != 0 {
            TcpEvent::Ack
        } else {
            TcpEvent::Nothing
        }
    }
}

/// The next state. A packet with none of the four flags closes the connection, in either direction.
#[inline]
pub(crate) fn next(mode: Mode, side: Side, event: TcpEvent, state: TcpState) -> TcpState {
    if event == TcpEvent::Nothing {
        return TcpState::Close;
    }
    let transitions = match mode {
        Mode::Normal => &NORMAL,
        Mode::Secure => &SECURE,
    };
    transitions[side as usize][event as usize][state as usize]
}

use TcpState::{
    Close as CL, CloseWait as CW, Established as ES, FinWait as FW, LastAck as LA, Listen as LI,
    None as NO, SynAck as SA, SynReceived as SR, SynSent as SS, TimeWait as TW,
};

/// The next state, indexed by side, event and state.
type Transitions = [[[TcpState; STATES]; 4]; 3];

// From:  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
#[rustfmt::skip]
const NORMAL: Transitions = [
    // input
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR], // SYN
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW], // FIN
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES], // ACK
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR], // RST
    ],
    // output
    [
        [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR], // SYN
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW], // FIN
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES], // ACK
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL], // RST
    ],
    // input only
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR], // SYN
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW], // FIN
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES], // ACK
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL], // RST
    ],
];

/// With `secure_tcp` the client alone cannot move a connection beyond SYN_RECV or SYNACK.
// From:  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
#[rustfmt::skip]
const SECURE: Transitions = [
    // input
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA], // SYN
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA], // FIN
        [ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA], // ACK
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL], // RST
    ],
    // output
    [
        [SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA], // SYN
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW], // FIN
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES], // ACK
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL], // RST
    ],
    // input only
    [
        [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA], // SYN
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW], // FIN
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES], // ACK
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL], // RST
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented tables of IPVS; a dot keeps the state.
    const NORMAL_TEXT: &str = "
              NO ES SS SR FW TW CL CW LA LI SA
        IN   SYN SR .  ES .  SR SR SR SR SR SR SR
        IN   FIN CL CW .  TW TW .  .  .  .  .  TW
        IN   ACK ES .  .  ES .  .  .  .  CL .  ES
        IN   RST CL CL CL .  CL CL .  CL .  .  SR
        OUT  SYN SS .  .  .  SS SS SS SS SS .  SR
        OUT  FIN TW FW .  TW .  .  .  TW .  .  TW
        OUT  ACK ES .  .  ES .  .  .  .  .  ES ES
        OUT  RST CL CL .  CL CL .  .  CL CL CL CL
        ONLY SYN SR .  ES .  SR SR SR SR SR SR SR
        ONLY FIN CL FW .  TW .  .  .  .  .  .  TW
        ONLY ACK ES .  .  ES .  .  .  .  CL .  ES
        ONLY RST CL CL CL .  CL CL .  CL .  .  CL
    ";

    const SECURE_TEXT: &str = "
              NO ES SS SR FW TW CL CW LA LI SA
        IN   SYN SR .  ES .  SR SR SR SR SR SR .
        IN   FIN CL CW .  TW TW .  .  .  .  .  .
        IN   ACK ES .  .  .  .  .  .  .  CL .  .
        IN   RST CL CL CL .  CL CL .  CL .  .  CL
        OUT  SYN SS .  .  SA SS SS SS SS SS .  .
        OUT  FIN TW FW .  TW .  .  .  TW .  .  TW
        OUT  ACK ES .  .  ES .  .  .  .  .  ES ES
        OUT  RST CL CL .  CL CL .  .  CL CL CL CL
        ONLY SYN SA .  ES .  SA SA SA SA SA SA .
        ONLY FIN CL FW .  TW .  .  .  .  .  .  TW
        ONLY ACK ES .  .  ES .  .  .  .  CL .  ES
        ONLY RST CL CL CL .  CL CL .  CL .  .  CL
    ";

    const EVENTS: [(&str, TcpEvent); 4] = [
        ("SYN", TcpEvent::Syn),
        ("FIN", TcpEvent::Fin),
        ("ACK", TcpEvent::Ack),
        ("RST", TcpEvent::Reset),
    ];

    fn check(mode: Mode, text: &str) {
        let mut lines = text.trim().lines();
        let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(header, ["NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA"]);
        let mut cells = 0;
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let side = match words[0] {
                "IN" => Side::Input,
                "OUT" => Side::Output,
                _ => Side::InputOnly,
            };
            let event = EVENTS.iter().find(|(name, _)| *name == words[1]).unwrap().1;
            for (from, word) in words[2..].iter().enumerate() {
                let to = header.iter().position(|name| name == word).unwrap_or(from);
                let state = next(mode, side, event, TcpState::ALL[from]);
                assert_eq!(state as usize, to, "{mode:?} {line} from {}", header[from]);
                cells += 1;
            }
        }
        assert_eq!(cells, 3 * 4 * STATES);
    }

    #[test]
    fn the_tables_match_the_documented_ones() {
        check(Mode::Normal, NORMAL_TEXT);
        check(Mode::Secure, SECURE_TEXT);
    }

    #[test]
    fn a_packet_without_flags_closes_from_every_state() {
        for mode in [Mode::Normal, Mode::Secure] {
            for side in [Side::Input, Side::Output, Side::InputOnly] {
                for state in TcpState::ALL {
                    assert_eq!(next(mode, side, TcpEvent::Nothing, state), TcpState::Close);
                }
            }
        }
    }

    #[test]
    fn numbers_names_and_flags() {
        for (number, state) in TcpState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(TcpState::from_number(number as u8), state);
        }
        assert_eq!(TcpState::from_number(11), TcpState::None);
        let active: Vec<&str> =
            TcpState::ALL.iter().filter(|s| s.is_active()).map(|s| s.name()).collect();
        assert_eq!(active, ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK"]);
        for (flags, event) in [
            (0x02, TcpEvent::Syn),
            (0x12, TcpEvent::Syn),
            (0x11, TcpEvent::Fin),
            (0x13, TcpEvent::Syn),
            (0x18, TcpEvent::Ack),
            (0x17, TcpEvent::Reset),
            (0x28, TcpEvent::Nothing),
        ] {
            assert_eq!(TcpEvent::from_flags(flags), event, "{flags:#04x}");
        }
    }
}
