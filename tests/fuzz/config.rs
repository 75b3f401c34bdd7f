//! Configuration: any text gives a configuration or faults with valid line numbers. Parsing is deterministic, and
//! reloading the same text changes nothing.

use bolero::TypeGenerator;
use director::config::Config;

const FILE: &str = include_str!("../../config/director.toml");

/// A change of a valid file.
#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Cut {
        at: u16,
        length: u8,
    },
    Insert {
        at: u16,
        text: String,
    },
    /// Replaces a value by that of another line.
    Exchange {
        one: u8,
        other: u8,
    },
    Repeat {
        line: u8,
    },
    Remove {
        line: u8,
    },
    Number {
        line: u8,
        value: i64,
    },
}

fn place(text: &str, at: u16) -> usize {
    let mut at = usize::from(at) % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn edited(text: &str, edit: &Edit) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let value = |line: &str| line.split_once(" = ").map(|(_, value)| value.to_owned());
    let key = |line: &str| line.split_once(" = ").map(|(key, _)| key.to_owned());
    let count = lines.len().max(1);
    let line = |number: u8| usize::from(number) % count;
    match edit {
        Edit::Cut { at, length } => {
            let (from, to) = (place(text, *at), place(text, at.saturating_add(u16::from(*length))));
            return text[..from].to_owned() + &text[to.max(from)..];
        }
        Edit::Insert { at, text: new } => {
            let at = place(text, *at);
            return text[..at].to_owned() + new + &text[at..];
        }
        _ if lines.is_empty() => {}
        Edit::Exchange { one, other } => {
            if let (Some(key), Some(value)) = (key(&lines[line(*one)]), value(&lines[line(*other)]))
            {
                lines[line(*one)] = format!("{key} = {value}");
            }
        }
        Edit::Repeat { line: number } => {
            let again = lines[line(*number)].clone();
            lines.insert(line(*number), again);
        }
        Edit::Remove { line: number } => drop(lines.remove(line(*number))),
        Edit::Number { line: number, value } => {
            if let Some(key) = key(&lines[line(*number)]) {
                lines[line(*number)] = format!("{key} = {value}");
            }
        }
    }
    lines.join("\n")
}

fn check(text: &str) {
    let first = Config::parse(text, "some.toml");
    match &first {
        Ok(config) => {
            assert!(!config.ports.is_empty());
            let reload = config.changes(config).expect("a fixed key changed");
            assert!(reload.is_empty(), "{reload:?}");
        }
        Err(faults) => {
            assert!(faults.iter().count() > 0);
            let lines = text.lines().count() + 1;
            for fault in faults.iter() {
                assert!(fault.to_string().starts_with("some.toml:"), "{fault}");
                assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{fault}");
            }
        }
    }
    let again = Config::parse(text, "some.toml");
    match (first, again) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        _ => panic!("the same text was accepted once and refused once"),
    }
}

#[test]
fn any_text() {
    bolero::check!()
        .with_test_time(crate::SHORT)
        .for_each(|text: &[u8]| check(&String::from_utf8_lossy(text)));
}

#[test]
fn an_edited_file() {
    bolero::check!().with_type::<Vec<Edit>>().with_test_time(crate::SHORT).for_each(|edits| {
        let edits = edits.iter().take(1 + edits.len() % 6);
        check(&edits.fold(FILE.to_owned(), |text, edit| edited(&text, edit)));
    });
}
