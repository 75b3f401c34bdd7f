//! No text makes the parser panic; errors always print.

use director::config::Config;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn full_file() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/director.toml")).unwrap()
}

/// Words of the format, so that random texts get beyond the first line.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[director]\n",
        "[dpdk]\n",
        "[tables]\n",
        "[[port]]\n",
        "[[neighbour]]\n",
        "[[route]]\n",
        "[timeouts]\n",
        "[tcp]\n",
        "[sysctl]\n",
        "[[mark]]\n",
        "[[service]]\n",
        "[[service.destination]]\n",
        "name = ",
        "device = ",
        "addresses = ",
        "address = ",
        "gateway = ",
        "mac = ",
        "via = ",
        "destination = ",
        "mtu = ",
        "cores = ",
        "workers = ",
        "port = ",
        "protocol = ",
        "fwmark = ",
        "scheduler = ",
        "scheduler_flags = ",
        "persistence = ",
        "netmask = ",
        "method = ",
        "weight = ",
        "tunnel = ",
        "type = ",
        "checksum = ",
        "mark = ",
        "vips = ",
        "sync_threshold = ",
        "mss_clamp = ",
        "\"wan0\"",
        "\"10.0.0.1/24\"",
        "\"10.0.0.1\"",
        "\"[fd00::1]:80\"",
        "\"tcp\"",
        "\"udp\"",
        "\"tunnel\"",
        "\"pmtu\"",
        "\"gue\"",
        "\"sh\"",
        "\"3 50\"",
        "-1",
        "0",
        "80",
        "2147483648",
        "9223372036854775807",
        "true",
        "1.5",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "#",
        "\n",
        "\r\n",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Every error prints as one line that begins with the file name.
fn check(text: &str) {
    if let Err(faults) = Config::parse(text, "some.toml") {
        assert!(faults.iter().count() > 0);
        let lines = text.lines().count() + 1;
        for fault in faults.iter() {
            assert!(fault.to_string().starts_with("some.toml:"), "{fault}");
            assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{fault}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_text(text: String) {
        check(&text);
    }

    #[test]
    fn random_words(pieces in prop::collection::vec(piece(), 0..60)) {
        check(&pieces.concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A valid file with one value replaced by other text of the file, or a part removed.
    #[test]
    fn damaged_file(from in 0usize..5000, length in 0usize..40, at in 0usize..5000, put: String) {
        let text = full_file();
        let characters: Vec<char> = text.chars().collect();
        let from = from % characters.len();
        let end = (from + length).min(characters.len());
        let without: String = characters[..from].iter().chain(&characters[end..]).collect();
        check(&without);
        let at = at % characters.len();
        let with: String =
            characters[..at].iter().copied().chain(put.chars()).chain(characters[at..].iter().copied()).collect();
        check(&with);
    }

    /// Every value of the file in place of every other.
    #[test]
    fn exchanged_values(one in 0usize..200, other in 0usize..200) {
        let text = full_file();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let values: Vec<(usize, String)> = lines
            .iter()
            .enumerate()
            .filter_map(|(at, line)| line.split_once(" = ").map(|(_, value)| (at, value.to_owned())))
            .collect();
        let (at, _) = values[one % values.len()];
        let (_, value) = &values[other % values.len()];
        let key = lines[at].split_once(" = ").unwrap().0.to_owned();
        lines[at] = format!("{key} = {value}");
        check(&lines.join("\n"));
    }
}

#[test]
fn a_missing_file() {
    let faults = Config::load(Path::new("/nowhere/director.toml")).unwrap_err();
    let expected = "/nowhere/director.toml: cannot be read: No such file or directory (os error 2)";
    assert_eq!(faults.to_string(), expected);
}
