//! The file as tables that are read one at a time, so that a wrong key in one table does not hide what is wrong in the
//! others.

use super::report::Report;
use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use std::fmt;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

/// One table of the file and the place where it begins.
pub struct Section<T> {
    pub raw: T,
    pub offset: usize,
}

type DeTables<'t> = Vec<(DeTable<'t>, usize)>;
type Value<'t> = Spanned<DeValue<'t>>;

/// The tables of the file that were not read yet.
pub struct Document<'t> {
    root: DeTable<'t>,
}

impl<'t> Document<'t> {
    /// A text that is not TOML is reported, and read as an empty file.
    pub fn parse(text: &'t str, report: &mut Report<'_>) -> Self {
        let error = match DeTable::parse(text) {
            Ok(root) => return Document { root: root.into_inner() },
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        let culprit = text.get(span.clone()).unwrap_or_default();
        let message = error.message();
        if message.contains("duplicate")
            && has_header(text.get(..span.start).unwrap_or_default(), culprit)
        {
            let problem = format!("a second table `{culprit}`");
            let allowed =
                format!("one [{culprit}], or [[{culprit}]] each time where several are allowed");
            report.fault_allowed(span.start, "", problem, allowed);
            return Document { root: DeTable::default() };
        }
        if culprit.is_empty() || culprit.contains(char::is_control) {
            report.fault(span.start, "", message);
        } else {
            report.fault(span.start, "", format!("{message}: `{culprit}`"));
        }
        Document { root: DeTable::default() }
    }

    /// `[name]`. If it is absent or faulty: an empty table.
    pub fn single<T: DeserializeOwned + Default>(
        &mut self,
        name: &str,
        report: &mut Report<'_>,
    ) -> T {
        let Some(value) = remove(&mut self.root, name) else { return T::default() };
        let offset = value.span().start;
        as_table(value, name, &format!("[{name}]"), report)
            .and_then(|table| read(table, offset, name, report))
            .unwrap_or_default()
    }

    /// Every `[[name]]` without faults.
    pub fn several<T: DeserializeOwned>(
        &mut self,
        name: &str,
        report: &mut Report<'_>,
    ) -> Vec<Section<T>> {
        several(&mut self.root, name, name, report)
    }

    /// Every `[[name]]` without faults, with its `[[name.inner]]`.
    pub fn nested<T: DeserializeOwned, I: DeserializeOwned>(
        &mut self,
        name: &str,
        inner: &str,
        report: &mut Report<'_>,
    ) -> Vec<(Section<T>, Vec<Section<I>>)> {
        let mut found = Vec::new();
        for (mut table, offset) in elements(&mut self.root, name, name, report) {
            let below = several(&mut table, inner, &format!("{name}.{inner}"), report);
            if let Some(raw) = read(table, offset, name, report) {
                found.push((Section { raw, offset }, below));
            }
        }
        found
    }

    /// Reports every table that was not read. `names` are all names that are allowed.
    pub fn refuse_others(&self, names: &[&str], report: &mut Report<'_>) {
        for key in self.root.keys() {
            report.fault_allowed(
                key.span().start,
                key.get_ref(),
                "unknown table",
                names.join(", "),
            );
        }
    }
}

/// The text has a line `[name]`.
fn has_header(text: &str, name: &str) -> bool {
    let is_header = |line: &str| {
        let inner = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']'));
        inner.is_some_and(|(inner, _)| inner.trim() == name)
    };
    !name.is_empty() && text.lines().any(is_header)
}

fn remove<'t>(table: &mut DeTable<'t>, name: &str) -> Option<Value<'t>> {
    table.remove(name)
}

/// The tables of `[[name]]`.
fn elements<'t>(
    parent: &mut DeTable<'t>,
    name: &str,
    path: &str,
    report: &mut Report<'_>,
) -> DeTables<'t> {
    let Some(value) = remove(parent, name) else { return Vec::new() };
    let offset = value.span().start;
    let allowed = format!("[[{path}]]");
    let DeValue::Array(elements) = value.into_inner() else {
        report.fault_allowed(offset, path, "not a list of tables", allowed);
        return Vec::new();
    };
    let mut tables = Vec::new();
    for element in elements {
        let offset = element.span().start;
        if let Some(table) = as_table(element, path, &allowed, report) {
            tables.push((table, offset));
        }
    }
    tables
}

fn several<T: DeserializeOwned>(
    parent: &mut DeTable,
    name: &str,
    path: &str,
    report: &mut Report<'_>,
) -> Vec<Section<T>> {
    let mut sections = Vec::new();
    for (table, offset) in elements(parent, name, path, report) {
        sections.extend(read(table, offset, path, report).map(|raw| Section { raw, offset }));
    }
    sections
}

fn as_table<'t>(
    value: Value<'t>,
    path: &str,
    allowed: &str,
    report: &mut Report<'_>,
) -> Option<DeTable<'t>> {
    let offset = value.span().start;
    match value.into_inner() {
        DeValue::Table(table) => Some(table),
        _ => {
            report.fault_allowed(offset, path, "not a table", allowed);
            None
        }
    }
}

/// Reads one table, reporting every key that does not fit it.
///
/// serde stops at the first fault. So the faulty key is taken out, and the rest is read again.
fn read<T: DeserializeOwned>(
    mut table: DeTable,
    offset: usize,
    path: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    let mut fits = true;
    loop {
        let whole = Spanned::new(offset..offset, DeValue::Table(table.clone()));
        let error = match T::deserialize(ValueDeserializer::from(whole)) {
            Ok(raw) => return fits.then_some(raw),
            Err(error) => error,
        };
        let at = error.span().map_or(offset, |span| span.start);
        let culprit = table.iter().find(|(key, value)| is_at(key, value, at));
        let Some(key) = culprit.map(|(key, _)| key.get_ref().to_string()) else {
            // A key is missing. If one was taken out above, it may be that one.
            if fits {
                complain(at, path, error.message(), path, report);
            }
            return None;
        };
        complain(at, &format!("{path}.{key}"), error.message(), &key, report);
        remove(&mut table, &key);
        fits = false;
    }
}

/// The place is in the key, in its value, or in a table below that has a header of its own.
fn is_at(key: &Spanned<DeString>, value: &Value, at: usize) -> bool {
    let here = key.span().contains(&at) || value.span().contains(&at);
    let below = |table: &DeTable| table.iter().any(|(key, value)| is_at(key, value, at));
    here || value.span().start == at || value.get_ref().as_table().is_some_and(below)
}

/// Reports serde's message about `key`, whose full name is `path`.
fn complain(at: usize, path: &str, message: &str, key: &str, report: &mut Report<'_>) {
    let (problem, allowed) = in_words(message, key);
    match allowed {
        Some(allowed) => report.fault_allowed(at, path, problem, allowed),
        None => report.fault(at, path, problem),
    }
}

/// Splits serde's message about `key` into what is wrong and what is allowed, in TOML's words.
fn in_words(message: &str, key: &str) -> (String, Option<String>) {
    if let Some(missing) = message.strip_prefix("missing field ") {
        return (format!("{missing} is missing"), None);
    }
    let Some((problem, expected)) = message.split_once(", expected ") else {
        return (message.to_owned(), None);
    };
    let problem = match problem.strip_prefix("unknown field ") {
        Some(unknown) if unknown.trim_matches('`') == key => "unknown key".to_owned(),
        Some(unknown) => format!("unknown key {unknown}"),
        None => problem.to_owned(),
    };
    let expected = match expected {
        "i64" => "an integer",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        other => other.strip_prefix("one of ").unwrap_or(other),
    };
    (problem, Some(expected.replace('`', "")))
}

/// A value that may be written as a number or as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Integer(i64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Integer(number) => number.fmt(out),
            Scalar::Text(text) => text.fmt(out),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an integer or a string")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}
