//! The page "Where new things go" is true: a new scheduler, question or setting touches the places that the page names
//! for its kind, and no others.
//!
//! A place is an item of a file: a function, a constant, an enumeration, a macro's list. It belongs to a kind of things if
//! every thing of that kind that exists appears in it. So the places are found in the code and compared with the page.

use super::{item_after, opens_test_item, read, root, rust_files, test_modules, tokens};
use proc_macro2::{Delimiter, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "docs/develop/extend.md";

/// What stands for the thing's name in the page's paths.
const NAME: &str = "NAME";

/// One thing of a kind: a scheduler, a question.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Thing {
    /// As its own file is called.
    file: String,
    /// It appears in an item that has one of these words.
    words: Vec<String>,
}

/// A file, and an item in it. The item is empty for a file as a whole.
type Place = (String, String);

/// Every kind of the page: its heading, and the things that exist.
fn kinds(code: &Code) -> BTreeMap<&'static str, Vec<Thing>> {
    BTreeMap::from([
        ("Scheduler", code.variants("src/model/scheduler_kind.rs", "SchedulerKind", &["None"])),
        (
            "Forwarding method",
            exact(code.variants("src/model/forward_method.rs", "ForwardMethod", &[])),
        ),
        ("Encapsulation", exact(code.variants("src/model/destination.rs", "TunnelKind", &[]))),
        ("Drop reason", exact(code.reasons("DropReason"))),
        ("Punt reason", exact(code.reasons("PuntReason"))),
        ("Consumer of punts", exact(code.variants("src/reason.rs", "PuntConsumer", &[]))),
        ("Duty of the control thread", code.implementors("src/control/tasks/", "name")),
        ("Setting", code.settings()),
        ("Command of ipvsadm", exact(code.variants("src/api/request.rs", "Command", &[]))),
        ("Question of directorctl", code.implementors("src/query/", "ABOUT")),
        ("Configuration table", code.implementors("src/config/", "changed")),
    ])
}

#[test]
fn the_page_names_every_place() {
    let faults = compare(&Code::read(), &read(PAGE));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_page_is_found() {
    let code = Code::read();
    let page = read(PAGE);
    assert_eq!(compare(&code, &page), [""; 0]);
    for (old, new, fault) in [
        (
            "`Algorithm::new`",
            "",
            "Scheduler: src/scheduler/mod.rs: `Algorithm::new` is not on the page",
        ),
        (
            "`Scheduler::pick`",
            "`Scheduler::gone`",
            "Scheduler: src/scheduler/mod.rs has no `Scheduler::gone`",
        ),
        (
            "`src/query/NAME.rs`",
            "`src/query/NAME_args.rs`",
            "src/query/status_args.rs does not exist",
        ),
        ("`src/reason.rs`", "`src/reasons.rs`", "src/reasons.rs does not exist"),
        (
            "`settings!`",
            "`Sysctls::get`",
            "Setting: src/model/sysctl.rs: no `am_droprate` in `Sysctls::get`",
        ),
        ("## Scheduler", "## Schedulers", "no kind of things is called \"Schedulers\""),
    ] {
        assert!(page.contains(old), "{old}");
        let faults = compare(&code, &page.replacen(old, new, 1));
        assert!(faults.iter().any(|found| found.contains(fault)), "{old}: {faults:#?}");
    }
}

#[test]
fn items_of_a_file() {
    let text = r#"
        mod a; pub mod b;
        use x::y;
        #[cfg(test)] mod tests { fn hidden() {} }
        pub enum Kind { One, Two }
        impl Kind { pub const ALL: &[Kind] = &[Kind::One]; fn name(self) -> &'static str { "one two" } }
        impl<T: Copy> Shape<T> for super::Other<T> { fn area(&self) { inner(One) } }
        list! { One, Two }
        static ROWS: &[&str] = &["One"];
        macro_rules! list { () => { One } }
    "#;
    let items = items(&tokens(text));
    let words = |name: &str| -> Vec<&str> { items[name].iter().map(String::as_str).collect() };
    let names: Vec<&str> = items.keys().map(String::as_str).collect();
    assert_eq!(names, ["Kind", "Kind::ALL", "Kind::name", "Other::area", "ROWS", "list!", "mod"]);
    assert_eq!(words("mod"), ["a", "b"]);
    assert_eq!(words("Kind"), ["One", "Two"]);
    assert_eq!(words("Kind::ALL"), ["Kind", "One"]);
    assert!(words("Kind::name").ends_with(&["two"]));
    assert!(words("Other::area").contains(&"One"));
}

/// What is wrong with the page.
fn compare(code: &Code, page: &str) -> Vec<String> {
    let kinds = kinds(code);
    let page = places_of(page);
    let mut faults: Vec<String> = page
        .keys()
        .filter(|kind| !kinds.contains_key(kind.as_str()))
        .map(|kind| format!("no kind of things is called {kind:?}"))
        .collect();
    for (kind, things) in &kinds {
        assert!(things.len() > 2, "{kind}: only {things:?}");
        let named = page.get(*kind).cloned().unwrap_or_default();
        faults.extend(untrue(code, kind, things, &named));
        faults.extend(
            code.common(things)
                .difference(&named)
                .map(|(file, item)| format!("{kind}: {file}: `{item}` is not on the page")),
        );
    }
    faults
}

/// Places of the page that do not exist, or that do not have every thing of the kind.
fn untrue(code: &Code, kind: &str, things: &[Thing], named: &BTreeSet<Place>) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, item) in named {
        if file.contains(NAME) {
            let paths = things.iter().map(|thing| file.replace(NAME, &thing.file));
            let missing = paths.filter(|path| !root().join(path).exists());
            faults.extend(missing.map(|path| format!("{kind}: {path} does not exist")));
        } else if !root().join(file).exists() {
            faults.push(format!("{kind}: {file} does not exist"));
        } else if !is_rust(file) {
            let words = words_of(&read(file));
            let missing = things.iter().filter(|thing| !words.contains(&thing.file));
            faults.extend(missing.map(|thing| format!("{kind}: {file}: no `{}`", thing.file)));
        } else if let Some(words) = code.0.get(file).and_then(|items| items.get(item)) {
            let missing = things.iter().filter(|thing| !thing.is_in(words));
            let fault = |thing: &Thing| format!("{kind}: {file}: no `{}` in `{item}`", thing.file);
            faults.extend(missing.map(fault));
        } else {
            faults.push(format!("{kind}: {file} has no `{item}`"));
        }
    }
    faults
}

/// The places of each kind: below a heading, items of a list that begin with a file and go on with its items, each in
/// backticks.
fn places_of(page: &str) -> BTreeMap<String, BTreeSet<Place>> {
    let mut kinds: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    let mut kind = None;
    // A line that is continued is one line.
    for line in page.replace("\n  ", " ").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            kind = Some(heading.to_owned());
        }
        let (Some(kind), Some(text)) = (&kind, line.strip_prefix("* `")) else { continue };
        let mut spans = text.split('`').step_by(2).map(str::to_owned);
        let Some(file) = spans.next() else { continue };
        let items: Vec<String> = match is_rust(&file) {
            true => spans.collect(),
            false => vec![String::new()],
        };
        let places = items.into_iter().map(|item| (file.clone(), item));
        kinds.entry(kind.clone()).or_default().extend(places);
    }
    kinds
}

/// One file with items. A thing's own file and pages count as a whole.
fn is_rust(file: &str) -> bool {
    file.ends_with(".rs") && !file.contains(NAME)
}

impl Thing {
    fn is_in(&self, words: &BTreeSet<String>) -> bool {
        self.words.iter().any(|word| words.contains(word))
    }
}

/// Things whose names in lower case are everyday words: only the name as it is written counts.
fn exact(mut things: Vec<Thing>) -> Vec<Thing> {
    things.iter_mut().for_each(|thing| thing.words.truncate(1));
    things
}

/// The items of every Rust file of the product, each with its words.
struct Code(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Code {
    fn read() -> Self {
        let files: BTreeMap<String, Vec<TokenTree>> = rust_files(&["src"])
            .into_iter()
            .map(|path| (path.clone(), tokens(&read(&path))))
            .collect();
        let only_for_tests: BTreeSet<String> = files
            .iter()
            .flat_map(|(path, tokens)| {
                let folder = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned();
                test_modules(tokens).into_iter().map(move |name| format!("{folder}/{name}"))
            })
            .collect();
        let is_product = |path: &str| {
            let path = path.trim_end_matches(".rs");
            path != "src/testing"
                && !path.starts_with("src/testing/")
                && !only_for_tests.iter().any(|tests| {
                    path.strip_prefix(tests.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
        };
        let product = files.into_iter().filter(|(path, _)| is_product(path));
        Code(product.map(|(path, tokens)| (path, items(&tokens))).collect())
    }

    /// The items that every one of the things is in.
    fn common(&self, things: &[Thing]) -> BTreeSet<Place> {
        let items = self.0.iter().flat_map(|(file, items)| {
            items.iter().map(move |(item, words)| (file.clone(), item.clone(), words))
        });
        items
            .filter(|(_, _, words)| things.iter().all(|thing| thing.is_in(words)))
            .map(|(file, item, _)| (file, item))
            .collect()
    }

    /// The variants of an enumeration, without some: words are the variant, and its name in lower case.
    fn variants(&self, file: &str, name: &str, without: &[&str]) -> Vec<Thing> {
        let text = tokens(&read(file));
        let at = text
            .windows(2)
            .position(|pair| pair[0].to_string() == "enum" && pair[1].to_string() == name);
        let at = at.unwrap_or_else(|| panic!("{file} has no enum {name}"));
        let names = parts(&text[at + 2]).into_iter().filter_map(|part| first_word(&part));
        let thing = |variant: String| {
            let lower = variant.to_lowercase();
            Thing { file: lower.clone(), words: vec![variant, lower] }
        };
        names.filter(|variant| !without.contains(&variant.as_str())).map(thing).collect()
    }

    /// The reasons in the list of this name in `src/reason.rs`.
    fn reasons(&self, name: &str) -> Vec<Thing> {
        let text = tokens(&read("src/reason.rs"));
        let lists = text.windows(3).filter_map(|window| match window {
            [word, mark, TokenTree::Group(list)] if format!("{word}{mark}") == "reasons!" => {
                Some(list.stream().into_iter().collect::<Vec<_>>())
            }
            _ => None,
        });
        let list = lists.flat_map(|list| {
            let at = list.iter().position(|token| token.to_string() == name)?;
            list.get(at + 1).map(parts)
        });
        let names = list.flatten().filter_map(|part| first_word(&part));
        names.map(|word| Thing { file: word.clone(), words: vec![word] }).collect()
    }

    /// The rows of `settings!`.
    fn settings(&self) -> Vec<Thing> {
        let text = tokens(&read("src/model/sysctl.rs"));
        let rows = text.windows(3).find_map(|window| match window {
            [word, mark, TokenTree::Group(list)] if format!("{word}{mark}") == "settings!" => {
                Some(list.stream().into_iter().collect::<Vec<_>>())
            }
            _ => None,
        });
        let rows = rows.expect("a list of settings");
        let rows = rows.split(|token| token.to_string() == ";");
        let names = rows.filter_map(first_word);
        names.map(|word| Thing { file: word.clone(), words: vec![word] }).collect()
    }

    /// The files of a folder with a type that has this item of a trait: words are the type, and the file's module.
    fn implementors(&self, folder: &str, item: &str) -> Vec<Thing> {
        let files = self.0.iter().filter_map(|(path, items)| {
            Some((path.strip_prefix(folder)?.strip_suffix(".rs")?, items))
        });
        files
            .filter_map(|(module, items)| {
                let own =
                    |name: &String| Some(name.strip_suffix(item)?.strip_suffix("::")?.to_owned());
                let name = items.keys().find_map(own)?;
                Some(Thing { file: module.to_owned(), words: vec![name, module.to_owned()] })
            })
            .collect()
    }
}

/// The items of a file without those for tests, each with its words. Functions in an `impl` have the type's name in front.
fn items(tokens: &[TokenTree]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        let item = &rest[..rest.len() - item_after(rest).len()];
        let word = |at: usize| after.get(at).map(TokenTree::to_string).unwrap_or_default();
        rest = match (first.to_string().as_str(), first) {
            ("#", _) if opens_test_item(first, after) => item_after(after),
            ("#", _) => &after[1..],
            ("use" | "extern" | "macro_rules", _) => &rest[item.len()..],
            ("mod", _) => {
                found.entry("mod".to_owned()).or_default().insert(word(0));
                &rest[item.len()..]
            }
            ("impl", _) => {
                let (own, TokenTree::Group(body)) = (own_type(item), &item[item.len() - 1]) else {
                    panic!("an impl without a body");
                };
                let body: Vec<TokenTree> = body.stream().into_iter().collect();
                for (name, words) in items(&body) {
                    found.entry(format!("{own}::{name}")).or_default().extend(words);
                }
                &rest[item.len()..]
            }
            ("fn" | "enum" | "struct" | "union" | "trait" | "static" | "type", _) => {
                found.entry(word(0)).or_default().extend(words(&item[2..]));
                &rest[item.len()..]
            }
            ("const", _) if word(0) != "fn" => {
                found.entry(word(0)).or_default().extend(words(&item[2..]));
                &rest[item.len()..]
            }
            (name, TokenTree::Ident(_)) if word(0) == "!" => {
                found.entry(format!("{name}!")).or_default().extend(words(&item[2..]));
                &rest[item.len()..]
            }
            _ => after,
        };
    }
    found
}

/// The type that an `impl` is for: the last name of its path.
fn own_type(item: &[TokenTree]) -> String {
    let mut depth = 0;
    let mut name = String::new();
    let mut in_path = true;
    for (at, token) in item.iter().enumerate().skip(1) {
        let text = token.to_string();
        match text.as_str() {
            "<" => depth += 1,
            ">" if item[at - 1].to_string() != "-" => depth -= 1,
            _ if depth > 0 => {}
            "for" => in_path = true,
            "where" => break,
            _ if matches!(token, TokenTree::Ident(_)) && in_path => name = text,
            ":" => in_path = true,
            _ => {}
        }
        // Generic arguments end a path.
        in_path &= depth == 0 || name.is_empty();
    }
    name
}

/// All names and words of texts, without attributes and comments.
fn words(tokens: &[TokenTree]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                let is_attribute = matches!(after.first(), Some(TokenTree::Group(group))
                    if group.delimiter() == Delimiter::Bracket);
                rest = if is_attribute { &after[1..] } else { after };
            }
            TokenTree::Group(group) => {
                found.extend(words(&group.stream().into_iter().collect::<Vec<_>>()));
            }
            TokenTree::Ident(word) => _ = found.insert(word.to_string()),
            TokenTree::Literal(text) => found.extend(words_of(&text.to_string())),
            TokenTree::Punct(_) => {}
        }
    }
    found
}

/// The words of a text.
fn words_of(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
    text.split(|letter| !is_part(letter)).map(str::to_owned).collect()
}

/// The elements of a list in brackets, between commas.
fn parts(list: &TokenTree) -> Vec<Vec<TokenTree>> {
    let TokenTree::Group(list) = list else { return Vec::new() };
    let tokens: Vec<TokenTree> = list.stream().into_iter().collect();
    tokens.split(|token| token.to_string() == ",").map(<[TokenTree]>::to_vec).collect()
}

/// The first name that is not in an attribute.
fn first_word(tokens: &[TokenTree]) -> Option<String> {
    let names = tokens.iter().filter(|token| matches!(token, TokenTree::Ident(_)));
    names.map(TokenTree::to_string).next()
}
