//! The shape of the code: allowed imports, maximum file length, files that may contain `unsafe`.
//!
//! [`TIERS`] is the rule, and the list in `src/lib.rs` must be equal to it. Files of one folder do not import each
//! other in a circle. `extend`: the page about new things names every place where they go. `reasons`: every reason to drop or
//! punt a packet is given somewhere.

mod extend;
mod reasons;

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library, lowest first. A module imports only from lower tiers, not from its own.
const TIERS: &[&[&str]] = &[
    &["limits", "model", "time"],
    &["rate", "reason"],
    &["io"],
    &["packet"],
    &["dpdk"],
    &["testing"],
    &["conn", "route", "scheduler"],
    &["snapshot"],
    &["rewrite"],
    &["worker"],
    &["host", "kernel_port"],
    &["api"],
    &["query"],
    &["cli", "config"],
    &["control", "doctor"],
];

/// Modules that only tests may import.
const FOR_TESTS: &str = "testing";

/// Maximum lines of a file, with its tests.
const LINES_MAX: usize = 600;

/// Files that may contain `unsafe`: around C, memory and raw sockets.
const UNSAFE: &[&str] = &[
    "bench/conn_table/",
    "dpdk-sys/",
    "src/conn/",
    "src/dpdk/",
    "tests/lab/",
    "tests/publication/",
];

#[test]
fn modules_import_only_from_tiers_below() {
    let mut faults = Vec::new();
    for source in library() {
        let (Some(module), false) = (source.module(), source.only_for_tests) else { continue };
        let own = tier(&module).unwrap_or_else(|| panic!("{module} is in no tier"));
        for path in paths(&source.tokens, &source.path_of_module()) {
            let Some(import) = path.first() else { continue };
            let allowed = *import == module
                || (import != FOR_TESTS && tier(import).is_some_and(|below| below < own));
            if !allowed {
                faults.push(format!("{}: {module} imports {import}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_of_a_folder_do_not_import_in_a_circle() {
    let sources: Vec<Source> =
        library().into_iter().filter(|source| !source.only_for_tests).collect();
    let faults: Vec<String> = imports_inside_folders(&sources)
        .iter()
        .filter_map(|(folder, edges)| Some((folder, circle(edges)?)))
        .map(|(folder, circle)| format!("src/{}: {}", folder.join("/"), circle.join(" imports ")))
        .collect();
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
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_is_only_in_the_listed_files() {
    let faults: Vec<String> = rust_files(&["src", "tests", "bench", "dpdk-sys"])
        .into_iter()
        .filter(|path| !UNSAFE.iter().any(|place| path.starts_with(place)))
        .filter(|path| has_unsafe(&tokens(&read(path))))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let module = ["own".to_owned(), "file".to_owned()];
    let seen = |text: &str| -> Vec<String> {
        let paths = paths(&tokens(text), &module);
        let first: BTreeSet<String> =
            paths.into_iter().filter_map(|path| path.into_iter().next()).collect();
        first.into_iter().filter(|name| name != "own").collect()
    };
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

#[test]
fn circles_are_found_by_file_folder_and_re_export() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        tokens: tokens(text),
        only_for_tests: false,
    };
    let found = |files: &[(&str, &str)]| -> Vec<String> {
        let sources: Vec<Source> = files.iter().map(|(path, text)| source(path, text)).collect();
        imports_inside_folders(&sources).values().filter_map(circle).flatten().collect()
    };
    let page = ("src/m/mod.rs", "mod a; mod b; pub use b::Thing; use a::go;");
    let uses_a = ("src/m/b.rs", "use super::a; pub struct Thing;");
    assert_eq!(
        found(&[page, ("src/m/a.rs", "use crate::m::b::{self, x};"), uses_a]),
        ["a", "b", "a"]
    );
    assert_eq!(found(&[page, ("src/m/a.rs", "use super::Thing;"), uses_a]), ["a", "b", "a"]);
    assert_eq!(found(&[page, ("src/m/a.rs", "fn go() {}"), uses_a]), [""; 0]);
    let below = ("src/m/a/c.rs", "use super::super::b::Thing;");
    assert_eq!(found(&[page, ("src/m/a/mod.rs", "mod c;"), below, uses_a]), ["a", "b", "a"]);
    assert_eq!(
        found(&[page, ("src/m/a/mod.rs", "mod c;"), ("src/m/a/c.rs", "use super::x;")]),
        [""; 0]
    );
}

// ---- what is read ------------------------------------------------------------------------------

struct Source {
    /// Path from the root of the repository.
    path: String,
    tokens: Vec<TokenTree>,
    /// Declared by `#[cfg(test)] mod`, or inside such a module.
    only_for_tests: bool,
}

impl Source {
    /// The module of the library that the file belongs to; `None` for the library's root.
    fn module(&self) -> Option<String> {
        let below = self.path.strip_prefix("src/").expect("a file of the library");
        let first = below.split('/').next()?.trim_end_matches(".rs");
        (first != "lib").then(|| first.to_owned())
    }

    /// Path of the file's module from the library's root.
    fn path_of_module(&self) -> Vec<String> {
        let below = self.path.strip_prefix("src/").expect("a file of the library");
        let below = below.trim_end_matches(".rs").trim_end_matches("/mod");
        below.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
    }
}

/// For each folder: which of its files and folders import which others. `mod.rs` does not count, except for its
/// re-exports: an import of a re-exported name is an import of the file that defines it.
fn imports_inside_folders(sources: &[Source]) -> BTreeMap<Vec<String>, Edges> {
    let modules: BTreeMap<Vec<String>, &Source> =
        sources.iter().map(|source| (source.path_of_module(), source)).collect();
    let re_exports: BTreeMap<(Vec<String>, String), String> = modules
        .iter()
        .flat_map(|(module, source)| {
            own_uses(&source.tokens).into_iter().filter_map(|path| {
                let (first, last) = (path.first()?, path.last()?);
                let child = [module.as_slice(), std::slice::from_ref(first)].concat();
                modules
                    .contains_key(&child)
                    .then_some(((module.clone(), last.clone()), first.clone()))
            })
        })
        .collect();
    let mut folders: BTreeMap<Vec<String>, Edges> = BTreeMap::new();
    for (module, source) in &modules {
        for path in paths(&source.tokens, module) {
            let common = module.iter().zip(&path).take_while(|(own, other)| own == other).count();
            let (folder, Some(own), Some(name)) =
                (module[..common].to_vec(), module.get(common), path.get(common))
            else {
                continue;
            };
            let sibling = [folder.as_slice(), std::slice::from_ref(name)].concat();
            let other = match modules.contains_key(&sibling) {
                true => name,
                false => match re_exports.get(&(folder.clone(), name.clone())) {
                    Some(child) => child,
                    None => continue,
                },
            };
            if other != own {
                folders
                    .entry(folder)
                    .or_default()
                    .entry(own.clone())
                    .or_default()
                    .insert(other.clone());
            }
        }
    }
    folders
}

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Finds a circle in a graph; its first node is repeated at the end.
fn circle(edges: &Edges) -> Option<Vec<String>> {
    fn visit(edges: &Edges, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let node = way.last().expect("a path has a node").clone();
        if let Some(at) = way[..way.len() - 1].iter().position(|earlier| *earlier == node) {
            way.drain(..at);
            return true;
        }
        for next in edges.get(&node).into_iter().flatten() {
            if !done.contains(next) {
                way.push(next.clone());
                if visit(edges, way, done) {
                    return true;
                }
                way.pop();
            }
        }
        done.insert(node);
        false
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|node| {
        let mut way = vec![node.clone()];
        (!done.contains(node) && visit(edges, &mut way, &mut done)).then_some(way)
    })
}

/// Every file of the library. Binaries may import everything.
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

/// The Rust files in the folders, as paths from the root.
fn rust_files(folders: &[&str]) -> Vec<String> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for entry in entries {
            let path = entry.expect("a folder can be read to its end").path();
            if path.is_dir() {
                // Build output of a separate crate.
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

// ---- Rust, as far as the questions need it ------------------------------------------------------

fn tokens(text: &str) -> Vec<TokenTree> {
    text.parse::<TokenStream>().expect("valid Rust").into_iter().collect()
}

/// All paths that begin with `crate::` or `super::` in a file of `module`, from the library's root, without test-only
/// items.
fn paths(tokens: &[TokenTree], module: &[String]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut rest = tokens;
    let mut inner_module = None;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            TokenTree::Punct(_) if opens_test_item(first, after) => rest = item_after(after),
            TokenTree::Ident(word) if word == "mod" => {
                inner_module = after.first().map(TokenTree::to_string);
            }
            TokenTree::Ident(word) if word == "crate" && is_path(after) => {
                found.extend(expand(&after[2..]));
            }
            TokenTree::Ident(word) if word == "super" && is_path(after) => {
                let mut above = module.len().saturating_sub(1);
                rest = &after[2..];
                while rest.first().is_some_and(|next| next.to_string() == "super")
                    && is_path(&rest[1..])
                {
                    above = above.saturating_sub(1);
                    rest = &rest[3..];
                }
                found.extend(
                    expand(rest).into_iter().map(|path| [&module[..above], &path].concat()),
                );
            }
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let module = [module, inner_module.take().as_slice()].concat();
                found.extend(paths(&inner, &module));
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => inner_module = None,
            _ => {}
        }
    }
    found
}

/// The paths of all `use` items that begin with a name: in a `mod.rs` these are its own files.
fn own_uses(tokens: &[TokenTree]) -> Vec<Vec<String>> {
    let uses = tokens.iter().enumerate().filter(|(_, token)| token.to_string() == "use");
    uses.flat_map(|(at, _)| expand(&tokens[at + 1..])).collect()
}

/// The paths in a `use` tree or in an expression.
fn expand(tokens: &[TokenTree]) -> Vec<Vec<String>> {
    match tokens {
        [TokenTree::Ident(word), rest @ ..] if word == "self" && !is_path(rest) => vec![vec![]],
        [TokenTree::Ident(word), rest @ ..] => {
            let tails = if is_path(rest) { expand(&rest[2..]) } else { vec![vec![]] };
            tails.into_iter().map(|tail| [vec![word.to_string()], tail].concat()).collect()
        }
        [TokenTree::Group(list), ..] => {
            let tokens: Vec<TokenTree> = list.stream().into_iter().collect();
            let parts = tokens.split(|token| token.to_string() == ",");
            parts.filter(|part| !part.is_empty()).flat_map(expand).collect()
        }
        _ => vec![vec![]],
    }
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

/// True if these tokens are `#[cfg(test)]`.
fn opens_test_item(first: &TokenTree, after: &[TokenTree]) -> bool {
    let [TokenTree::Group(attribute), ..] = after else { return false };
    first.to_string() == "#" && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// The tokens after an item, which ends with a semicolon or a block.
fn item_after(tokens: &[TokenTree]) -> &[TokenTree] {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    tokens.iter().position(ends).map_or(&[], |end| &tokens[end + 1..])
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
