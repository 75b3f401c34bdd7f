//! SIP (RFC 3261): the call of a message, for persistence.

use super::{Packet, udp};
use crate::model::Protocol;

/// Maximum length of a Call-ID in bytes, as in IPVS.
pub(crate) const CALL_ID_MAX: usize = 255;

/// The Call-ID of a UDP packet with its IP header at `ip`. As in IPVS, SIP over TCP or SCTP is not read.
pub(crate) fn call_id_of<'f, A>(ip: &'f [u8], packet: &Packet<A>) -> Option<&'f [u8]> {
    if packet.protocol != Protocol::Udp.number() {
        return None;
    }
    call_id(ip.get(usize::from(packet.header) + udp::HEADER..usize::from(packet.length))?)
}

/// The value of the message's Call-ID header in its long or compact form. `None` if there is none, if it is longer than
/// [`CALL_ID_MAX`], or if other text follows it on the line.
pub(crate) fn call_id(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        // The first line is the request line or status line.
        let end = rest.iter().position(|&byte| is_line_end(byte))?;
        rest = &rest[end + 1..];
        let Some(value) = header_value(rest) else { continue };
        let length = identifier(value);
        if length == 0 {
            continue;
        }
        let is_whole = value.get(length).is_some_and(|&byte| is_line_end(byte));
        return (is_whole && length <= CALL_ID_MAX).then(|| &value[..length]);
    }
}

/// Lines end with CR, LF or both, as in RFC 2543.
const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The text after the colon, if the line is a Call-ID header.
fn header_value(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"call-id";
    let is_long = line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    let is_compact =
        line.len() > 1 && line[0].eq_ignore_ascii_case(&b'i') && !line[1].is_ascii_alphabetic();
    let after = match (is_long, is_compact) {
        (true, _) => &line[NAME.len()..],
        (false, true) => &line[1..],
        (false, false) => return None,
    };
    let value = after.trim_ascii_start().strip_prefix(b":")?;
    let blanks = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    Some(&value[blanks..])
}

/// Length of `word [ "@" word ]` at the start; 0 if there is none.
fn identifier(value: &[u8]) -> usize {
    let local = word(value);
    if local == 0 || value.get(local) != Some(&b'@') {
        return local;
    }
    match word(&value[local + 1..]) {
        0 => 0,
        domain => local + 1 + domain,
    }
}

fn word(bytes: &[u8]) -> usize {
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(byte);
    bytes.iter().take_while(|byte| is_word(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids() {
        let long = "x".repeat(255);
        let too_long = "x".repeat(256);
        for (headers, expected) in [
            (
                "Call-ID: a84b4c76e66710@pc33.example.com\r\n",
                Some("a84b4c76e66710@pc33.example.com"),
            ),
            ("Via: SIP/2.0/UDP host\r\ncall-id:x\r\n\r\n", Some("x")),
            ("i: short@host\n", Some("short@host")),
            ("I :\tshort\r", Some("short")),
            ("Info: x\r\nCall-ID: y\r\n", Some("y")),
            ("Call-ID: <a>{b}\r\n", Some("<a>{b}")),
            (&format!("Call-ID: {long}\r\n"), Some(long.as_str())),
            (&format!("Call-ID: {too_long}\r\n"), None),
            ("Call-ID: a b\r\n", None),
            ("Call-ID: a@\r\ni: b\r\n", Some("b")),
            ("Call-ID: cut", None),
            ("Call-ID", None),
            ("Call-ID:\r\n", None),
            ("From: somebody\r\n\r\n", None),
            ("", None),
        ] {
            let message = format!("INVITE sip:bob@example.com SIP/2.0\r\n{headers}");
            assert_eq!(call_id(message.as_bytes()), expected.map(str::as_bytes), "{headers:?}");
        }
        assert_eq!(call_id(b"Call-ID: x\r\n"), None, "the first line is not a header");
        assert_eq!(call_id(b""), None);
    }

    #[test]
    fn any_bytes_are_safe() {
        proptest::proptest!(|(message in proptest::collection::vec(
            proptest::sample::select(b"iI:@ \r\n\tcall-ID\xff".to_vec()), 0..80,
        ))| {
            let found = call_id(&message);
            proptest::prop_assert!(found.is_none_or(|value| !value.is_empty()));
        });
    }
}
