//! Every reason to drop or punt a packet has a place in the program that gives it. A reason that nothing gives would be
//! listed and documented, and never counted.

use crate::{item_after, library, opens_test_item, tokens};
use proc_macro2::TokenTree;
use std::collections::BTreeSet;

/// Where the reasons are declared.
const DECLARED: &str = "src/reason.rs";

#[test]
fn every_reason_is_given_somewhere() {
    let sources = library();
    let declared = sources.iter().find(|source| source.path == DECLARED).expect(DECLARED);
    // Punts are made by workers; everything may drop.
    for (name, folder) in [("DropReason", "src/"), ("PuntReason", "src/worker/")] {
        let variants = variants(&declared.tokens, name);
        assert!(variants.len() > 10, "{name} was not found");
        let given: BTreeSet<String> = sources
            .iter()
            .filter(|source| source.path != DECLARED && !source.only_for_tests)
            .filter(|source| source.path.starts_with(folder))
            .flat_map(|source| named(&source.tokens, name))
            .collect();
        let missing: Vec<&String> =
            variants.iter().filter(|variant| !given.contains(*variant)).collect();
        assert!(missing.is_empty(), "nothing in {folder} gives {name}::{missing:?}");
    }
}

#[test]
fn reasons_are_found_outside_tests() {
    let found = |text: &str| named(&tokens(text), "DropReason").into_iter().collect::<Vec<_>>();
    assert_eq!(found("fn f() { g(DropReason::NoRoute) }"), ["NoRoute"]);
    assert_eq!(found("#[cfg(test)] mod tests { use DropReason::NoRoute; } fn f() {}"), [""; 0]);
    assert_eq!(found("fn f() { PuntReason::NoRoute }"), [""; 0]);
    let list = "reasons! { DropReason { NoRoute \"no-route\" \"None.\", NoPort \"a\" \"b\", } }";
    assert_eq!(variants(&tokens(list), "DropReason"), ["NoRoute", "NoPort"]);
}

/// The variants in the list of this name: each is a word before two texts.
fn variants(tokens: &[TokenTree], name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        let is_list = at > 0
            && matches!(&tokens[at - 1], TokenTree::Ident(word) if word == name)
            && matches!(inner.get(1), Some(TokenTree::Literal(_)));
        match is_list {
            true => found.extend(inner.iter().filter_map(|token| match token {
                TokenTree::Ident(word) => Some(word.to_string()),
                _ => None,
            })),
            false => found.extend(variants(&inner, name)),
        }
    }
    found
}

/// Every `NAME::WORD` outside test-only items.
fn named(tokens: &[TokenTree], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (TokenTree::Punct(_), _) if opens_test_item(first, after) => rest = item_after(after),
            (
                TokenTree::Ident(word),
                [TokenTree::Punct(_), TokenTree::Punct(_), TokenTree::Ident(variant), ..],
            ) if word == name => {
                found.insert(variant.to_string());
            }
            (TokenTree::Group(group), _) => {
                found.extend(named(&group.stream().into_iter().collect::<Vec<_>>(), name));
            }
            _ => {}
        }
    }
    found
}
