//! From TOML text to the tables of [`raw`](super::raw), each read by itself, so that a wrong key in
//! one table does not hide what is wrong in the others.

use super::raw;
use super::report::Report;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

/// One table of the file and the place where it begins.
pub(super) struct Section<T> {
    pub raw: T,
    pub offset: usize,
}

/// Everything the file says. Faulty tables are reported; `[...]` are empty then, `[[...]]` missing.
pub(super) struct Sections {
    pub director: raw::DirectorTable,
    pub dpdk: raw::Dpdk,
    pub tables: raw::Tables,
    pub ports: Vec<Section<raw::Port>>,
    pub neighbours: Vec<Section<raw::Neighbour>>,
    pub routes: Vec<Section<raw::Route>>,
    pub timeouts: raw::Timeouts,
    pub tcp: raw::Tcp,
    pub sysctl: raw::Sysctl,
    pub marks: Vec<Section<raw::Mark>>,
    pub services: Vec<(Section<raw::Service>, Vec<Section<raw::Destination>>)>,
}

type Table<'t> = DeTable<'t>;
type Value<'t> = Spanned<DeValue<'t>>;

const NAMES: &str =
    "director, dpdk, tables, port, neighbour, route, timeouts, tcp, sysctl, mark, service";

impl Sections {
    /// A text that is no TOML reads like an empty one, and is reported.
    pub fn read(text: &str, report: &mut Report) -> Self {
        let mut root = match DeTable::parse(text) {
            Ok(root) => root.into_inner(),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let culprit = text.get(span.clone()).unwrap_or_default();
                let message = error.message();
                if culprit.is_empty() || culprit.contains(char::is_control) {
                    report.fault(span.start, "", message);
                } else {
                    report.fault(span.start, "", format!("{message}: `{culprit}`"));
                }
                DeTable::default()
            }
        };
        let sections = Sections {
            director: single(&mut root, "director", report),
            dpdk: single(&mut root, "dpdk", report),
            tables: single(&mut root, "tables", report),
            ports: several(&mut root, "port", "port", report),
            neighbours: several(&mut root, "neighbour", "neighbour", report),
            routes: several(&mut root, "route", "route", report),
            timeouts: single(&mut root, "timeouts", report),
            tcp: single(&mut root, "tcp", report),
            sysctl: single(&mut root, "sysctl", report),
            marks: several(&mut root, "mark", "mark", report),
            services: services(&mut root, report),
        };
        for key in root.keys() {
            report.fault_allowed(key.span().start, key.get_ref(), "unknown table", NAMES);
        }
        sections
    }
}

fn remove<'t>(table: &mut Table<'t>, name: &str) -> Option<Value<'t>> {
    table.remove(name)
}

/// `[name]`; an absent or faulty one is an empty one.
fn single<T: DeserializeOwned + Default>(root: &mut Table, name: &str, report: &mut Report) -> T {
    let Some(value) = remove(root, name) else { return T::default() };
    let offset = value.span().start;
    as_table(value, name, &format!("[{name}]"), report)
        .and_then(|table| read(table, offset, name, report))
        .unwrap_or_default()
}

/// The tables of `[[name]]`.
fn elements<'t>(
    parent: &mut Table<'t>,
    name: &str,
    path: &str,
    report: &mut Report,
) -> Vec<(Table<'t>, usize)> {
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
    parent: &mut Table,
    name: &str,
    path: &str,
    report: &mut Report,
) -> Vec<Section<T>> {
    let mut sections = Vec::new();
    for (table, offset) in elements(parent, name, path, report) {
        sections.extend(read(table, offset, path, report).map(|raw| Section { raw, offset }));
    }
    sections
}

fn services(
    root: &mut Table,
    report: &mut Report,
) -> Vec<(Section<raw::Service>, Vec<Section<raw::Destination>>)> {
    let mut services = Vec::new();
    for (mut table, offset) in elements(root, "service", "service", report) {
        let destinations = several(&mut table, "destination", "service.destination", report);
        if let Some(raw) = read(table, offset, "service", report) {
            services.push((Section { raw, offset }, destinations));
        }
    }
    services
}

fn as_table<'t>(
    value: Value<'t>,
    path: &str,
    allowed: &str,
    report: &mut Report,
) -> Option<Table<'t>> {
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
/// serde stops at the first: its key is taken out and the rest read again.
fn read<T: DeserializeOwned>(
    mut table: Table,
    offset: usize,
    path: &str,
    report: &mut Report,
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
    let below = |table: &Table| table.iter().any(|(key, value)| is_at(key, value, at));
    here || value.span().start == at || value.get_ref().as_table().is_some_and(below)
}

/// Reports serde's message about `key`, whose full name is `path`.
fn complain(at: usize, path: &str, message: &str, key: &str, report: &mut Report) {
    let (problem, allowed) = in_words(message, key);
    match allowed {
        Some(allowed) => report.fault_allowed(at, path, problem, allowed),
        None => report.fault(at, path, problem),
    }
}

/// serde's message about `key`, cut into what is wrong and what it expected, in words of TOML.
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
