//! The states of an SCTP association in IPVS, determined by the first chunk of each packet.

use super::step::Side;

/// Numbered as in IPVS's synchronisation messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum SctpState {
    #[default]
    None = 0,
    Init1 = 1,
    Init = 2,
    CookieSent = 3,
    CookieReplied = 4,
    CookieWait = 5,
    Cookie = 6,
    CookieEchoed = 7,
    Established = 8,
    ShutdownSent = 9,
    ShutdownReceived = 10,
    ShutdownAckSent = 11,
    Rejected = 12,
    Closed = 13,
}

/// Number of states.
pub(crate) const STATES: usize = 14;

/// Timeout of each state in seconds.
pub(crate) const TIMEOUTS_S: [u32; STATES] = [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61];

impl SctpState {
    pub(crate) const ALL: [SctpState; STATES] =
        [NO, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL];

    /// The state with this number; NONE for unknown numbers.
    #[inline]
    pub(crate) const fn from_number(number: u8) -> SctpState {
        if (number as usize) < STATES { SctpState::ALL[number as usize] } else { NO }
    }

    /// Name in listings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            NO => "NONE",
            I1 => "INIT1",
            IN => "INIT",
            CS => "C-SENT",
            CR => "C-REPLIED",
            CW => "C-WAIT",
            CO => "COOKIE",
            CE => "C-ECHOED",
            ES => "ESTABLISHED",
            SS => "S-SENT",
            SR => "S-RECEIVED",
            SA => "S-ACK-SENT",
            RJ => "REJECTED",
            CL => "CLOSED",
        }
    }
}

/// The event of a packet, from its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SctpEvent {
    Data = 0,
    Init = 1,
    InitAck = 2,
    CookieEcho = 3,
    CookieAck = 4,
    Shutdown = 5,
    ShutdownAck = 6,
    ShutdownComplete = 7,
    Error = 8,
    Abort = 9,
}

/// Number of events.
pub(super) const EVENTS: usize = 10;

impl SctpEvent {
    pub(super) const ALL: [SctpEvent; EVENTS] = {
        use SctpEvent::*;
        [
            Data,
            Init,
            InitAck,
            CookieEcho,
            CookieAck,
            Shutdown,
            ShutdownAck,
            ShutdownComplete,
            Error,
            Abort,
        ]
    };

    /// The event from the types (RFC 9260 section 3.2) of the first chunk and the second, if any: an ABORT after a
    /// COOKIE-ECHO or COOKIE-ACK is an abort; other second chunks do not count.
    #[inline]
    pub const fn from_chunks(first: u8, second: Option<u8>) -> SctpEvent {
        const ABORT: u8 = 6;
        match first {
            1 => SctpEvent::Init,
            2 => SctpEvent::InitAck,
            ABORT => SctpEvent::Abort,
            7 => SctpEvent::Shutdown,
            8 => SctpEvent::ShutdownAck,
            9 => SctpEvent::Error,
            10 | 11 if matches!(second, Some(ABORT)) => SctpEvent::Abort,
            10 => SctpEvent::CookieEcho,
            11 => SctpEvent::CookieAck,
            14 => SctpEvent::ShutdownComplete,
            _ => SctpEvent::Data,
        }
    }
}

/// The state after a packet.
#[inline]
pub(crate) fn next(side: Side, event: SctpEvent, state: SctpState) -> SctpState {
    TRANSITIONS[side as usize][event as usize][state as usize]
}

use SctpState::{
    Closed as CL, Cookie as CO, CookieEchoed as CE, CookieReplied as CR, CookieSent as CS,
    CookieWait as CW, Established as ES, Init as IN, Init1 as I1, None as NO, Rejected as RJ,
    ShutdownAckSent as SA, ShutdownReceived as SR, ShutdownSent as SS,
};

// From:  NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL
#[rustfmt::skip]
const TRANSITIONS: [[[SctpState; STATES]; EVENTS]; 3] = [
    // input
    [
        [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // DATA
        [I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN], // INIT
        [CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL], // INIT-ACK
        [CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // COOKIE-ECHO
        [ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL], // COOKIE-ACK
        [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL], // SHUTDOWN
        [CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL], // SHUTDOWN-ACK
        [CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL], // SHUTDOWN-COMPLETE
        [CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL], // ERROR
        [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    ],
    // output
    [
        [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // DATA
        [CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW], // INIT
        [CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // INIT-ACK
        [CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL], // COOKIE-ECHO
        [ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL], // COOKIE-ACK
        [SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL], // SHUTDOWN
        [SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL], // SHUTDOWN-ACK
        [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // SHUTDOWN-COMPLETE
        [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // ERROR
        [CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    ],
    // input only
    [
        [ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL], // DATA
        [I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN], // INIT
        [CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL], // INIT-ACK
        [ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL], // COOKIE-ECHO
        [ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL], // COOKIE-ACK
        [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL], // SHUTDOWN
        [CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL], // SHUTDOWN-ACK
        [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL], // SHUTDOWN-COMPLETE
        [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // ERROR
        [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented table of IPVS; a dot keeps the state.
    const TEXT: &str = "
                            NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL
        IN   DATA              ES .  .  .  .  .  .  .  .  .  .  .  .  .
        IN   INIT              I1 IN .  .  .  .  .  .  .  .  .  .  IN IN
        IN   INIT-ACK          CW CW CW .  .  CO .  .  .  .  .  .  .  .
        IN   COOKIE-ECHO       CR IN .  CR .  .  .  .  .  .  .  .  .  .
        IN   COOKIE-ACK        ES .  .  .  .  .  .  ES .  .  .  .  .  .
        IN   SHUTDOWN          SR .  .  .  .  .  .  .  SR .  .  .  .  .
        IN   SHUTDOWN-ACK      CL IN .  .  .  .  .  .  .  CL .  CL .  .
        IN   SHUTDOWN-COMPLETE CL CL CL .  .  .  .  .  .  .  .  CL .  .
        IN   ERROR             CL .  .  .  .  .  .  CL .  .  .  .  .  .
        IN   ABORT             CL CL CL CL CL RJ CL CL CL CL CL CL CL .
        OUT  DATA              ES .  .  .  .  .  .  .  .  .  .  .  .  .
        OUT  INIT              CW CW CW CW CW .  CW CW .  CW CW CW CW CW
        OUT  INIT-ACK          CS CS CS .  .  .  .  .  .  .  .  .  .  .
        OUT  COOKIE-ECHO       CE CE CE CE CE CE CE .  .  .  .  .  .  .
        OUT  COOKIE-ACK        ES ES ES ES ES ES ES ES .  .  .  .  .  .
        OUT  SHUTDOWN          SS SS SS SS SS SS SS SS SS .  .  .  .  .
        OUT  SHUTDOWN-ACK      SA SA SA SA SA .  .  .  .  SA SA .  .  .
        OUT  SHUTDOWN-COMPLETE CL .  .  .  .  .  .  .  .  .  .  .  .  .
        OUT  ERROR             CL CL CL CL CL .  .  .  .  .  .  .  .  .
        OUT  ABORT             CL RJ CL CL CL CL CL CL CL CL CL CL CL .
        ONLY DATA              ES .  .  .  .  ES .  .  .  .  .  .  .  .
        ONLY INIT              I1 IN .  IN IN IN .  .  .  .  .  .  IN IN
        ONLY INIT-ACK          CE CE CE CE CE CE .  .  .  .  .  .  .  .
        ONLY COOKIE-ECHO       ES ES ES ES ES ES .  .  .  .  .  .  .  .
        ONLY COOKIE-ACK        ES .  .  ES ES .  ES ES .  .  .  .  .  .
        ONLY SHUTDOWN          SR .  .  .  .  .  .  .  SR .  .  .  .  .
        ONLY SHUTDOWN-ACK      CL IN .  .  .  .  .  .  CL CL .  CL .  .
        ONLY SHUTDOWN-COMPLETE CL CL CL CL CL .  .  .  .  .  CL CL .  .
        ONLY ERROR             CL .  .  .  .  .  .  .  .  .  .  .  .  .
        ONLY ABORT             CL CL CL CL CL RJ CL CL CL CL CL CL CL .
    ";

    const NAMES: [&str; EVENTS] = [
        "DATA",
        "INIT",
        "INIT-ACK",
        "COOKIE-ECHO",
        "COOKIE-ACK",
        "SHUTDOWN",
        "SHUTDOWN-ACK",
        "SHUTDOWN-COMPLETE",
        "ERROR",
        "ABORT",
    ];

    /// The chunk types in the order of the events.
    const CHUNKS: [u8; EVENTS] = [0, 1, 2, 10, 11, 7, 8, 14, 9, 6];

    #[test]
    fn the_table_matches_the_documented_one() {
        let mut lines = TEXT.trim().lines();
        let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(header.join(" "), "NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL");
        let mut cells = 0;
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let side = match words[0] {
                "IN" => Side::Input,
                "OUT" => Side::Output,
                _ => Side::InputOnly,
            };
            let chunk = CHUNKS[NAMES.iter().position(|name| *name == words[1]).unwrap()];
            let event = SctpEvent::from_chunks(chunk, None);
            for (from, word) in words[2..].iter().enumerate() {
                let to = header.iter().position(|name| name == word).unwrap_or(from);
                let state = next(side, event, SctpState::ALL[from]);
                assert_eq!(state as usize, to, "{line} from {}", header[from]);
                cells += 1;
            }
        }
        assert_eq!(cells, 3 * EVENTS * STATES);
    }

    #[test]
    fn events_of_chunks() {
        for (first, second, event) in [
            (3, None, SctpEvent::Data),
            (4, None, SctpEvent::Data),
            (5, None, SctpEvent::Data),
            (12, None, SctpEvent::Data),
            (13, None, SctpEvent::Data),
            (200, None, SctpEvent::Data),
            (10, Some(6), SctpEvent::Abort),
            (11, Some(6), SctpEvent::Abort),
            (10, Some(0), SctpEvent::CookieEcho),
            (0, Some(6), SctpEvent::Data),
        ] {
            assert_eq!(SctpEvent::from_chunks(first, second), event, "{first} {second:?}");
        }
    }

    #[test]
    fn numbers_and_names() {
        for (number, state) in SctpState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(SctpState::from_number(number as u8), state);
        }
        assert_eq!(SctpState::from_number(14), SctpState::None);
        let names: Vec<&str> = SctpState::ALL.iter().map(|state| state.name()).collect();
        assert_eq!(
            names.join(" "),
            "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT COOKIE C-ECHOED ESTABLISHED S-SENT S-RECEIVED \
             S-ACK-SENT REJECTED CLOSED"
        );
    }
}
