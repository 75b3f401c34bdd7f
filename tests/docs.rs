//! Links in the pages lead to existing headings and files, named files exist, and each page is listed in its index.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The front page is for visitors: what the project is, how to try it, where to read on.
const README_LINES_MAX: usize = 120;

/// A code span that starts with one of these names a file or folder of this repository.
const FOLDERS: &[&str] =
    &[".ci/", "bench/", "config/", "docs/", "dpdk-sys/", "scripts/", "src/", "tests/"];

#[test]
fn the_front_page_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines, {README_LINES_MAX} allowed");
}

#[test]
fn links_lead_to_existing_files_and_headings() {
    let mut faults = Vec::new();
    for page in pages() {
        for link in links(&read(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { resolve(&page, path) };
            if !root().join(&target).exists() {
                faults.push(format!("{page}: {link}: no such file"));
            } else if !heading.is_empty() && !headings(&read(&target)).contains(heading) {
                faults.push(format!("{page}: {link}: no such heading"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_named_in_the_text_exist() {
    let mut faults = Vec::new();
    for page in pages().into_iter().filter(|page| !page.starts_with("bench/results/")) {
        for span in code_spans(&read(&page)) {
            let path = span.split_whitespace().next().unwrap_or_default();
            let is_pattern = path.contains(|letter: char| "*<>{}".contains(letter))
                || path.contains("NAME")
                || path.contains("__fuzz__");
            let names_a_file = FOLDERS.iter().any(|folder| path.starts_with(folder));
            if names_a_file && !is_pattern && !root().join(path).exists() {
                faults.push(format!("{page}: {path} does not exist"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_page_of_docs_is_listed() {
    let mut listed = BTreeSet::new();
    for index in ["docs/README.md", "docs/decisions/README.md"] {
        listed.extend(links(&read(index)).into_iter().map(|link| resolve(index, &link)));
    }
    let missing: Vec<String> = pages()
        .into_iter()
        .filter(|page| page.starts_with("docs/") && !page.ends_with("README.md"))
        .filter(|page| !listed.contains(page))
        .collect();
    assert!(missing.is_empty(), "not listed in docs/README.md: {missing:?}");
}

#[test]
fn parts_of_a_page() {
    let page =
        "# A `[b]` (R)\n[one](x.md#y) and [two](z)\n```sh\n[not](this) `nor/this`\n```\n`src/a b`";
    assert_eq!(links(page), ["x.md#y", "z"]);
    assert_eq!(code_spans(page), ["[b]", "src/a b"]);
    assert_eq!(headings(page), BTreeSet::from(["a-b-r".to_owned()]));
    assert_eq!(resolve("docs/guide/a.md", "../../src/b.rs"), "src/b.rs");
}

// ---- reading pages -----------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Markdown file, as a path from the root.
fn pages() -> Vec<String> {
    let mut waiting: Vec<PathBuf> = vec![root().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a folder can be read to its end").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    waiting.push(path);
                }
            } else if name.ends_with(".md") {
                let path = path.strip_prefix(root()).expect("below the root");
                found.push(path.to_str().expect("a name in ASCII").to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "only {} pages found", found.len());
    found
}

/// The text without code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let pieces = line.split("](").skip(1);
        found.extend(pieces.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    found
}

/// Code spans: text between two backticks on one line.
fn code_spans(text: &str) -> Vec<String> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Anchors of the headings: lower case, words joined by hyphens, no punctuation.
fn headings(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .map(|title| {
            title
                .chars()
                .filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter))
                .collect()
        })
        .collect()
}

/// Path from the root of a link's target.
fn resolve(page: &str, link: &str) -> String {
    let mut path: Vec<&str> = page.split('/').collect();
    path.pop();
    for step in link.split('/') {
        match step {
            "." | "" => {}
            ".." => _ = path.pop(),
            name => path.push(name),
        }
    }
    path.join("/")
}
