//! The control protocol: any line is refused or parsed, and what is parsed is the same after writing and reading it
//! again.

use bolero::TypeGenerator;
use director::api::{Envelope, Reply};
use serde_json::Value;

/// One line of each kind from clients and the daemon.
const LINES: &str = include_str!("protocol/lines.jsonl");

fn is_stable(line: &str) {
    if let Ok(envelope) = serde_json::from_str::<Envelope>(line) {
        let text = serde_json::to_string(&envelope).unwrap();
        assert!(!text.contains('\n'), "one request is one line");
        assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope);
    }
    if let Ok(reply) = serde_json::from_str::<Reply>(line) {
        let text = serde_json::to_string(&reply).unwrap();
        assert!(!text.contains('\n'), "one reply is one line");
        assert_eq!(serde_json::from_str::<Reply>(&text).unwrap(), reply);
    }
}

#[test]
fn any_line() {
    bolero::check!()
        .with_test_time(crate::SHORT)
        .for_each(|line: &[u8]| is_stable(&String::from_utf8_lossy(line)));
}

/// A change somewhere in a line's JSON tree.
#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Null,
    Number(i64),
    Text(String),
    Wrap,
    Remove,
    Repeat,
    /// Takes the value from another line.
    Other(u8),
}

fn values(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    }
}

fn change(value: &mut Value, path: &[u8], edit: &Edit, others: &[Value]) {
    if let [step, rest @ ..] = path {
        let mut inside = values(value);
        if !inside.is_empty() {
            let index = usize::from(*step) % inside.len();
            return change(inside.swap_remove(index), rest, edit, others);
        }
    }
    match edit {
        Edit::Null => *value = Value::Null,
        Edit::Number(number) => *value = (*number).into(),
        Edit::Text(text) => *value = text.as_str().into(),
        Edit::Wrap => *value = Value::Array(vec![value.take()]),
        Edit::Remove => match value {
            Value::Array(list) => drop(list.pop()),
            Value::Object(map) => {
                let first = map.keys().next().cloned();
                first.map(|key| map.remove(&key));
            }
            other => *other = Value::Null,
        },
        Edit::Repeat => {
            let again = value.clone();
            if let Value::Array(list) = value {
                list.push(again);
            }
        }
        Edit::Other(number) => *value = others[usize::from(*number) % others.len()].clone(),
    }
}

#[test]
fn edited_lines() {
    let lines: Vec<Value> = LINES
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of the corpus"))
        .collect();
    for line in LINES.lines() {
        let known = serde_json::from_str::<Envelope>(line).is_ok()
            || serde_json::from_str::<Reply>(line).is_ok();
        assert!(known, "the corpus has another protocol version: {line}");
    }
    type Case = (u8, Vec<(Vec<u8>, Edit)>);
    bolero::check!().with_type::<Case>().with_test_time(crate::SHORT).for_each(|(line, edits)| {
        let mut value = lines[usize::from(*line) % lines.len()].clone();
        for (path, edit) in edits.iter().take(3) {
            change(&mut value, path, edit, &lines);
        }
        is_stable(&value.to_string());
    });
}
