//! Numbers and dotted quads as the C library reads them.

use std::net::Ipv4Addr;

/// A decimal number that is the whole word, leading blanks and a sign allowed.
pub(super) fn number(word: &str, least: i64, most: i64) -> Option<i64> {
    let digits = word.trim_start_matches(|letter: char| is_blank(letter));
    let value: i64 = digits.parse().ok()?;
    (least..=most).contains(&value).then_some(value)
}

/// The number at the beginning of a word; 0 if there is none. The rest of the word is ignored.
pub(super) fn leading_number(word: &str) -> i64 {
    let text = word.trim_start_matches(|letter: char| is_blank(letter));
    let sign_length = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign_length..].bytes().take_while(u8::is_ascii_digit).count();
    text[..sign_length + digits].parse().unwrap_or(0)
}

/// An IPv4 address of one to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`); the
/// last part fills all the octets that are left. Blanks and what follows them are ignored.
pub(super) fn dotted(word: &str) -> Option<Ipv4Addr> {
    let text = word.split(is_blank).next()?;
    let parts: Vec<u64> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|&part| part > 0xff) {
        return None;
    }
    let free_bits = 32 - 8 * leading.len() as u32;
    if *last >= 1 << free_bits {
        return None;
    }
    let high = leading.iter().fold(0, |bits, part| bits << 8 | part);
    Some(Ipv4Addr::from_bits(((high << free_bits) | last) as u32))
}

fn part(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix('0') {
        None => (text, 10),
        Some("") => return Some(0),
        Some(rest) => rest.strip_prefix(['x', 'X']).map_or((rest, 8), |hex| (hex, 16)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

fn is_blank(letter: char) -> bool {
    letter.is_ascii_whitespace() || letter == '\u{b}'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        for (word, expected) in [
            ("0", Some(0)),
            (" +7", Some(7)),
            ("-3", Some(-3)),
            ("10", Some(10)),
            ("11", None),
            ("", None),
            ("0x5", None),
            ("5 ", None),
            ("- 5", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(number(word, -5, 10), expected, "{word:?}");
        }
        for (word, expected) in
            [("64", 64), ("64abc", 64), ("-1x", -1), ("x", 0), ("", 0), ("+", 0)]
        {
            assert_eq!(leading_number(word), expected, "{word:?}");
        }
    }

    #[test]
    fn dotted_quads() {
        for (word, expected) in [
            ("10.0.0.1", Some([10, 0, 0, 1])),
            ("10.0.0", Some([10, 0, 0, 0])),
            ("10.257", Some([10, 0, 1, 1])),
            ("24", Some([0, 0, 0, 24])),
            ("0x0a000001", Some([10, 0, 0, 1])),
            ("010.0.0.08", None),
            ("010.0.0.1", Some([8, 0, 0, 1])),
            ("255.255.0.255", Some([255, 255, 0, 255])),
            ("300.0.0.1", None),
            ("1.2.3.4.5", None),
            ("1..2", None),
            ("", None),
            ("1.2.3.256", None),
            ("4294967296", None),
            ("10.0.0.1 x", Some([10, 0, 0, 1])),
            ("a.b", None),
        ] {
            assert_eq!(dotted(word), expected.map(Ipv4Addr::from), "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn every_address_in_full_is_read_back(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(dotted(&address.to_string()), Some(address));
            prop_assert_eq!(dotted(&bits.to_string()), Some(address));
        }

        #[test]
        fn no_text_is_a_panic(word in ".*") {
            dotted(&word);
            leading_number(&word);
            number(&word, 0, 9);
        }
    }
}
