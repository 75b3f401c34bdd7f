//! Compares two listings of ipvsadm.
//!
//! All bytes count, except: the size of the kernel's hash table, the last digits of timers, the order of connections
//! (the kernel's hash has a random seed), the order of unsorted services (the kernel hashes them with a memory
//! address), and rates. Rates depend on the phase of the estimator: one period more or less is a factor of 3/4, and a
//! period that ended during the packets has seen only some of them ([`rates_reach`]).

/// Tolerance of timers in seconds.
const TIMER_TOLERANCE: u64 = 2;

/// A rate after one period of the estimator without packets, rounded down.
const PERIOD_LEAVES: f64 = 0.74;

const CONNECTIONS: &str = "IPVS connection entries";

/// Describes the first difference between two outputs of `ipvsadm`.
pub fn difference(arguments: &str, expected: &str, actual: &str) -> Option<String> {
    let (mut wanted, mut got) = (lines(expected), lines(actual));
    if is_of_connections(expected) && is_of_connections(actual) {
        for rows in [&mut wanted, &mut got] {
            let head = rows.len().min(2);
            rows[head..].sort_by_cached_key(|row| (without_timer(row), timer(row)));
        }
    }
    if arguments.contains("--nosort") {
        wanted = by_service(wanted);
        got = by_service(got);
    }
    let rates = arguments.contains("--rate");
    for at in 0..wanted.len().max(got.len()) {
        let same = match (wanted.get(at), got.get(at)) {
            (Some(one), Some(other)) => one == other || same_row(one, other, rates),
            _ => false,
        };
        if !same {
            let show = |rows: &[String]| {
                rows.get(at).map_or("nothing".to_owned(), |row| format!("{row:?}"))
            };
            return Some(format!(
                "line {}: expected {}, got {}",
                at + 1,
                show(&wanted),
                show(&got)
            ));
        }
    }
    None
}

/// A listing with sorted services; each keeps the order of its destinations.
fn by_service(lines: Vec<String>) -> Vec<String> {
    let is_heading = |line: &String| {
        ["IP Virtual", "Prot ", "  -> RemoteAddress"].iter().any(|start| line.starts_with(start))
    };
    let (mut sorted, rows): (Vec<String>, Vec<String>) = lines.into_iter().partition(is_heading);
    let mut services: Vec<Vec<String>> = Vec::new();
    for row in rows {
        match services.last_mut() {
            Some(service) if row.starts_with(' ') => service.push(row),
            _ => services.push(vec![row]),
        }
    }
    services.sort();
    sorted.extend(services.into_iter().flatten());
    sorted
}

/// True for the output of `ipvsadm -Lc`.
pub fn is_of_connections(text: &str) -> bool {
    text.starts_with(CONNECTIONS)
}

/// The lines with their line ends, table sizes cleared.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(without_size).collect()
}

fn without_size(line: &str) -> String {
    let Some((before, after)) = line.split_once("(size=") else { return line.to_owned() };
    format!("{before}(size={}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn same_row(one: &str, other: &str, rates: bool) -> bool {
    match (timer(one), timer(other)) {
        (Some(first), Some(second)) => {
            first.abs_diff(second) <= TIMER_TOLERANCE && without_timer(one) == without_timer(other)
        }
        _ => rates && same_rates(one, other),
    }
}

/// Bounds of the second word, where connection rows have `MM:SS`.
fn second_word(row: &str) -> Option<(usize, usize)> {
    let first = row.find(' ')?;
    let start = first + row[first..].find(|c| c != ' ')?;
    Some((start, start + row[start..].find(' ')?))
}

/// The timer of a connection row, in seconds.
fn timer(row: &str) -> Option<u64> {
    let (start, end) = second_word(row)?;
    let (minutes, seconds) = row[start..end].split_once(':')?;
    Some(minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?)
}

/// A connection row with the digits of its timer cleared, so that its width still counts.
fn without_timer(row: &str) -> String {
    let Some((start, end)) = second_word(row).filter(|_| timer(row).is_some()) else {
        return row.to_owned();
    };
    let blank = row[start..end].replace(|c: char| c.is_ascii_digit(), "0");
    format!("{}{blank}{}", &row[..start], &row[end..])
}

fn same_rates(one: &str, other: &str) -> bool {
    let (first, second): (Vec<_>, Vec<_>) =
        (one.split_whitespace().collect(), other.split_whitespace().collect());
    let within = |one: &str, other: &str| match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => {
            (one - other).abs() <= 1.0 || one.min(other) / one.max(other) >= PERIOD_LEAVES
        }
        _ => false,
    };
    one.len() == other.len()
        && first.len() == second.len()
        && first.iter().zip(&second).all(|(one, other)| one == other || within(one, other))
}

/// True if the rates of a listing are at most the highest ones of the same listing over a whole period of the
/// estimator, and everything else is equal.
pub fn rates_reach(expected: &str, seen: &[String]) -> bool {
    let number = |word: &str| word.parse::<f64>().ok();
    let shape = |text: &str| -> Vec<String> {
        let row = |line: &str| {
            let words = line.split_whitespace();
            let words = words.map(|word| number(word).map_or(word, |_| "0"));
            format!("{} {}", line.len(), words.collect::<Vec<_>>().join(" "))
        };
        lines(text).iter().map(|line| row(line)).collect()
    };
    let numbers = |text: &str| text.split_whitespace().filter_map(number).collect::<Vec<f64>>();
    let mut greatest = vec![0.0_f64; numbers(expected).len()];
    for text in seen {
        if shape(text) != shape(expected) {
            return false;
        }
        for (most, rate) in greatest.iter_mut().zip(numbers(text)) {
            *most = most.max(rate);
        }
    }
    numbers(expected).iter().zip(&greatest).all(|(rate, most)| *rate <= most / PERIOD_LEAVES + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "IPVS connection entries\npro expire state       source\n";

    fn connections(rows: &[&str]) -> String {
        format!("{HEAD}{}\n", rows.join("\n"))
    }

    #[test]
    fn timers_may_differ_slightly_and_rows_may_be_in_any_order() {
        let wanted = connections(&["TCP 14:59  ESTABLISHED a b", "TCP 01:01  FIN_WAIT c d"]);
        let got = connections(&["TCP 00:59  FIN_WAIT c d", "TCP 15:00  ESTABLISHED a b"]);
        assert_eq!(difference("-Lnc", &wanted, &got), None);
        for odd in [
            connections(&["TCP 00:58  FIN_WAIT c d", "TCP 15:00  ESTABLISHED a b"]),
            connections(&["TCP 01:01  FIN_WAIT c d", "TCP 14:59 ESTABLISHED a b"]),
            connections(&["TCP 01:01  FIN_WAIT c d"]),
            connections(&["TCP 01:01  FIN_WAIT c d", "TCP 14:59  ESTABLISHED a b"])
                .trim_end()
                .to_owned(),
        ] {
            assert!(difference("-Lnc", &wanted, &odd).is_some(), "{odd}");
        }
    }

    #[test]
    fn table_size_may_differ_but_not_spaces() {
        let head = |size: &str| format!("IP Virtual Server version 1.2.1 (size={size})\n");
        assert_eq!(difference("-Ln", &head("4096"), &head("1048576")), None);
        let told = difference("-Ln", "TCP  10.0.0.1:80 rr\n", "TCP  10.0.0.1:80 rr \n").unwrap();
        assert_eq!(
            told,
            "line 1: expected \"TCP  10.0.0.1:80 rr\\n\", got \"TCP  10.0.0.1:80 rr \\n\""
        );
    }

    #[test]
    fn rates_of_a_part_of_the_packets() {
        let row = |rate: &str| format!("TCP  10.0.0.100:80   {rate:>8}\n");
        let seen = [row("0"), row("120"), row("90")];
        for (rate, within) in [("0", true), ("50", true), ("120", true), ("170", false)] {
            assert_eq!(rates_reach(&row(rate), &seen), within, "{rate}");
        }
        assert!(!rates_reach(&row("0"), &[row("0").replace("100:80", "101:80")]));
        assert!(!rates_reach(&row("0"), &[format!(" {}", row("0"))]), "an indented row");
        assert!(!rates_reach(&row("0"), &[row("0") + &row("0")]));
    }

    #[test]
    fn rates_may_be_one_period_off() {
        let row = |rate: &str| format!("TCP  10.0.0.100:80   {rate:>8}\n");
        assert_eq!(difference("-Ln --rate", &row("100"), &row("75")), None);
        assert!(difference("-Ln --rate", &row("100"), &row("70")).is_some());
        assert!(difference("-Ln --stats", &row("100"), &row("99")).is_some());
    }
}
