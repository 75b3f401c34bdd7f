//! The shape of the code: what may import what, how long a file may be, where `unsafe` may stand.
//!
//! [`TIERS`] says it once; `src/lib.rs` has to tell readers the same.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library, bottom up. A module imports from tiers below its own; those of one
/// tier do not know of each other.
const TIERS: &[&[&str]] = &[
    &["limits", "model", "time"],
    &["reason"],
    &["io"],
    &["packet"],
    &["dpdk"],
    &["testing"],
    &["conn", "route", "scheduler"],
    &["snapshot"],
    &["rewrite"],
    &["worker"],
    &["host"],
    &["api"],
    &["cli", "config"],
    &["control"],
];

/// What no code but tests may import.
const FOR_TESTS: &str = "testing";

/// Lines of a file, its tests included.
const LINES_MAX: usize = 600;

/// Where `unsafe` may stand: around C, memory and raw sockets.
const UNSAFE: &[&str] =
    &["dpdk-sys/", "src/conn/", "src/dpdk/", "tests/lab/", "tests/publication/"];

/// Files that break a rule for a reason, and the rule.
const EXCEPTIONS: &[Exception] = &[];

struct Exception {
    file: &'static str,
    rule: Rule,
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Imports,
    Length,
    Unsafe,
}

#[test]
fn modules_import_only_from_tiers_below() {
    let mut faults = Vec::new();
    for source in library() {
        let (Some(module), false) = (source.module(), source.only_for_tests) else { continue };
        let own = tier(&module).unwrap_or_else(|| panic!("{module} is in no tier"));
        for import in imports(&source.tokens, source.depth()) {
            let allowed = import == module
                || (import != FOR_TESTS && tier(&import).is_some_and(|below| below < own));
            if !allowed && !excepted(&source.path, Rule::Imports) {
                faults.push(format!("{}: {module} imports {import}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_library_lists_and_declares_its_modules_by_tier() {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs is readable");
    let listed: Vec<Vec<String>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! * ")?.split_once(':'))
        .map(|(names, _)| names.split(", ").map(|name| name.replace('`', "")).collect())
        .collect();
    assert_eq!(listed, TIERS);
    let declared: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, TIERS.concat());
}

#[test]
fn no_file_is_too_long() {
    let faults: Vec<String> = rust_files(&["src", "tests", "bench", "dpdk-sys"])
        .into_iter()
        .filter(|path| !excepted(path, Rule::Length))
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let faults: Vec<String> = rust_files(&["src", "tests", "bench", "dpdk-sys"])
        .into_iter()
        .filter(|path| !UNSAFE.iter().any(|place| path.starts_with(place)))
        .filter(|path| !excepted(path, Rule::Unsafe))
        .filter(|path| has_unsafe(&tokens(&read(path))))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn exceptions_are_of_files_there_are_and_have_a_reason() {
    for exception in EXCEPTIONS {
        assert!(root().join(exception.file).is_file(), "{} is gone", exception.file);
        assert!(!exception.reason.is_empty(), "why may {}?", exception.file);
    }
}

#[test]
fn imports_are_seen_however_they_are_written() {
    let seen = |text: &str| imports(&tokens(text), 2).into_iter().collect::<Vec<_>>();
    assert_eq!(seen("use crate::model::PortId;"), ["model"]);
    assert_eq!(seen("use crate::{port::{Frame, Queue}, stop};"), ["port", "stop"]);
    assert_eq!(seen("fn f() { if a { crate::worker::go(); } }"), ["worker"]);
    assert_eq!(seen("macro_rules! m { () => { $crate::api::Reply } }"), ["api"]);
    assert_eq!(seen("pub(crate) use super::x; // crate::worker"), [""; 0]);
    assert_eq!(seen("use super::super::service::Snapshot;"), ["service"]);
    assert_eq!(seen("mod v4 { use super::super::icmp; use super::super::super::stop; }"), ["stop"]);
    assert_eq!(seen("#[cfg(test)] use crate::testing::frame; use crate::time::Tick;"), ["time"]);
    assert_eq!(seen("#[cfg(test)] use crate::{testing}; use crate::time;"), ["time"]);
    assert_eq!(seen("#[cfg(test)] mod tests { use crate::worker; } use crate::time;"), ["time"]);
}

// ---- what is read ------------------------------------------------------------------------------

struct Source {
    /// From the root of the repository.
    path: String,
    tokens: Vec<TokenTree>,
    /// Declared by `#[cfg(test)] mod`, or part of what is.
    only_for_tests: bool,
}

impl Source {
    /// The module of the library the file belongs to; the library's root belongs to none.
    fn module(&self) -> Option<String> {
        let below = self.path.strip_prefix("src/").expect("a file of the library");
        let first = below.split('/').next()?.trim_end_matches(".rs");
        (first != "lib").then(|| first.to_owned())
    }

    /// How far the file's module lies below the library's root.
    fn depth(&self) -> usize {
        self.path.trim_end_matches("/mod.rs").matches('/').count()
    }
}

/// Every file of the library. The binaries stand above all of it and may import anything.
fn library() -> Vec<Source> {
    let files: BTreeMap<String, Vec<TokenTree>> = rust_files(&["src"])
        .into_iter()
        .filter(|path| !path.starts_with("src/bin/"))
        .map(|path| (path.clone(), tokens(&read(&path))))
        .collect();
    let roots: Vec<String> = files
        .iter()
        .flat_map(|(path, tokens)| {
            let folder = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned();
            test_modules(tokens).into_iter().map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    let only_for_tests = |path: &str| {
        roots.iter().any(|root| {
            path.strip_prefix(root.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    files
        .into_iter()
        .map(|(path, tokens)| Source { only_for_tests: only_for_tests(&path), path, tokens })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust files below the folders, as paths from the root.
fn rust_files(folders: &[&str]) -> Vec<String> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for entry in entries {
            let path = entry.expect("a folder can be read to its end").path();
            if path.is_dir() {
                // What a build leaves behind in a crate of its own.
                if !path.ends_with("target") {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let path = path.strip_prefix(root()).expect("below the root");
                found.push(path.to_str().expect("a name in ASCII").to_owned());
            }
        }
    }
    assert!(!found.is_empty(), "no Rust in {folders:?}");
    found.sort();
    found
}

fn tier(module: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&module))
}

fn excepted(path: &str, rule: Rule) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.file == path && exception.rule == rule)
}

// ---- Rust, as far as the questions need it ------------------------------------------------------

fn tokens(text: &str) -> Vec<TokenTree> {
    text.parse::<TokenStream>().expect("valid Rust").into_iter().collect()
}

/// The first names of all paths from the library's root, by `crate::` or by as many `super::` as the file's module lies
/// `depth` below the root; what only tests have is passed over.
fn imports(tokens: &[TokenTree], depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = tokens;
    let mut is_module = false;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            TokenTree::Punct(_) if opens_test_item(first, after) => rest = item_after(after),
            TokenTree::Ident(word) if word == "mod" => is_module = true,
            TokenTree::Ident(word) if word == "crate" && is_path(after) => {
                found.extend(first_names(&after[2..]));
            }
            TokenTree::Ident(word) if word == "super" && is_path(after) => {
                let mut steps = 1;
                rest = &after[2..];
                while rest.first().is_some_and(|next| next.to_string() == "super")
                    && is_path(&rest[1..])
                {
                    steps += 1;
                    rest = &rest[3..];
                }
                if steps >= depth {
                    found.extend(first_names(rest));
                }
            }
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                found.extend(imports(&inner, depth + usize::from(is_module)));
                is_module = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => is_module = false,
            _ => {}
        }
    }
    found
}

/// The names of `#[cfg(test)] mod name;`.
fn test_modules(tokens: &[TokenTree]) -> Vec<String> {
    let windows = tokens.windows(5);
    windows
        .filter(|window| opens_test_item(&window[0], &window[1..]))
        .filter(|window| window[2].to_string() == "mod" && window[4].to_string() == ";")
        .map(|window| window[3].to_string())
        .collect()
}

fn is_path(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: Option<&TokenTree>| token.is_some_and(|token| token.to_string() == ":");
    is_colon(tokens.first()) && is_colon(tokens.get(1))
}

/// Whether these tokens are `#[cfg(test)]`.
fn opens_test_item(first: &TokenTree, after: &[TokenTree]) -> bool {
    let [TokenTree::Group(attribute), ..] = after else { return false };
    first.to_string() == "#" && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// What follows an item: it ends with a semicolon or a block.
fn item_after(tokens: &[TokenTree]) -> &[TokenTree] {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    tokens.iter().position(ends).map_or(&[], |end| &tokens[end + 1..])
}

/// What follows `crate::`: a name, or names in braces.
fn first_names(path: &[TokenTree]) -> Vec<String> {
    match path.first() {
        Some(TokenTree::Group(list)) => {
            let tokens: Vec<TokenTree> = list.stream().into_iter().collect();
            tokens
                .split(|token| token.to_string() == ",")
                .filter_map(|path| path.first().map(TokenTree::to_string))
                .collect()
        }
        Some(name) => vec![name.to_string()],
        None => Vec::new(),
    }
}

fn has_unsafe(tokens: &[TokenTree]) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Ident(word) => word == "unsafe",
        TokenTree::Group(group) => {
            has_unsafe(&group.stream().into_iter().collect::<Vec<TokenTree>>())
        }
        _ => false,
    })
}
