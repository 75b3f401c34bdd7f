//! Counters in nine columns.

/// A counter, shortened by thousands once it has more than eight digits, or in full if `exact`.
pub(super) fn quantity(value: u64, exact: bool) -> String {
    const STEPS: [(u64, u64, char); 3] = [
        (1_000_000_000, 1_000, 'K'),
        (100_000_000_000, 1_000_000, 'M'),
        (100_000_000_000_000, 1_000_000_000, 'G'),
    ];
    if value < 100_000_000 {
        return format!("{value:>9}");
    }
    if exact {
        return format!(" {value}");
    }
    let (unit, letter) = STEPS
        .iter()
        .find(|(limit, ..)| value < *limit)
        .map_or((1_000_000_000_000, 'T'), |&(_, unit, letter)| (unit, letter));
    format!("{:>8}{letter}", value / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortened_and_exact() {
        for (value, shortened, exact) in [
            (0, "        0", "        0"),
            (99_999_999, " 99999999", " 99999999"),
            (100_000_000, "  100000K", " 100000000"),
            (999_999_999, "  999999K", " 999999999"),
            (1_000_000_000, "    1000M", " 1000000000"),
            (99_999_999_999, "   99999M", " 99999999999"),
            (100_000_000_000, "     100G", " 100000000000"),
            (99_999_999_999_999, "   99999G", " 99999999999999"),
            (100_000_000_000_000, "     100T", " 100000000000000"),
            (u64::MAX, "18446744T", " 18446744073709551615"),
        ] {
            assert_eq!(quantity(value, false), shortened);
            assert_eq!(quantity(value, true), exact);
        }
    }
}
