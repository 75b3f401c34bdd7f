//! Cuts a command line into options with their values, by the rules of popt.
//!
//! Letters may be bundled (`-Ln`), a value may be glued (`-t10.0.0.1:80`, `--weight=3`, `-p=100`)
//! or follow; it is taken even if it begins with `-`, unless it is optional. Long names cannot be
//! shortened. `--` ends the options. All other words are positional.

use super::option::{Argument, SPELLINGS, Spelling};
use std::collections::VecDeque;

/// An option as it was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub spelling: &'static Spelling,
    /// The last word that belongs to it, which messages name: its value if the value is a separate word; for a bundle,
    /// the whole bundle.
    pub word: &'a str,
    pub value: Option<&'a str>,
}

/// A word that cannot be understood, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LexicalError<'a> {
    pub word: &'a str,
    pub reason: &'static str,
}

const MISSING_ARGUMENT: &str = "missing argument";
const UNKNOWN_OPTION: &str = "unknown option";
const UNWANTED_ARGUMENT: &str = "option does not take an argument";

/// Goes through the words of a command line once.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    words: &'a [String],
    next: usize,
    /// The rest of the current bundle's letters.
    bundle: &'a str,
    options_ended: bool,
    /// The positional words, in order. Complete after [`Lexer::next_token`] returned `None`.
    pub positional: VecDeque<&'a str>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(words: &'a [String]) -> Self {
        Lexer { words, next: 0, bundle: "", options_ended: false, positional: VecDeque::new() }
    }

    /// The next option, or `None` at the end of the line.
    pub(super) fn next_token(&mut self) -> Option<Result<Token<'a>, LexicalError<'a>>> {
        while self.bundle.is_empty() {
            let word = self.words.get(self.next)?.as_str();
            self.next += 1;
            match word.strip_prefix('-') {
                Some("-") if !self.options_ended => self.options_ended = true,
                Some(rest) if !self.options_ended && !rest.is_empty() => {
                    match rest.strip_prefix('-') {
                        Some(long) => return Some(self.long(long)),
                        None => self.bundle = rest,
                    }
                }
                _ => self.positional.push_back(word),
            }
        }
        Some(self.short())
    }

    /// The word that is being looked at.
    fn current(&self) -> &'a str {
        &self.words[self.next - 1]
    }

    fn error(&self, reason: &'static str) -> LexicalError<'a> {
        LexicalError { word: self.current(), reason }
    }

    fn long(&mut self, text: &'a str) -> Result<Token<'a>, LexicalError<'a>> {
        let (name, glued) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let spelling = SPELLINGS
            .iter()
            .find(|spelling| spelling.long == name)
            .ok_or_else(|| self.error(UNKNOWN_OPTION))?;
        let value = match (spelling.argument, glued) {
            (Argument::None, Some(_)) => return Err(self.error(UNWANTED_ARGUMENT)),
            (Argument::None, None) => None,
            (_, Some(value)) => Some(value),
            (_, None) => self.following(spelling)?,
        };
        Ok(Token { spelling, word: self.current(), value })
    }

    fn short(&mut self) -> Result<Token<'a>, LexicalError<'a>> {
        let mut letters = self.bundle.chars();
        let letter = letters.next().unwrap_or('-');
        self.bundle = letters.as_str();
        let spelling = SPELLINGS
            .iter()
            .find(|spelling| spelling.short.contains(letter))
            .ok_or_else(|| self.error(UNKNOWN_OPTION))?;
        let value = if spelling.argument == Argument::None {
            if self.bundle.starts_with('=') {
                return Err(self.error(UNWANTED_ARGUMENT));
            }
            None
        } else if self.bundle.is_empty() {
            self.following(spelling)?
        } else {
            let glued = std::mem::take(&mut self.bundle);
            Some(glued.strip_prefix('=').unwrap_or(glued))
        };
        Ok(Token { spelling, word: self.current(), value })
    }

    fn following(&mut self, spelling: &Spelling) -> Result<Option<&'a str>, LexicalError<'a>> {
        let word = self.words.get(self.next).map(String::as_str);
        match (spelling.argument, word) {
            (Argument::Optional, None) => Ok(None),
            (Argument::Optional, Some(word)) if word.starts_with('-') => Ok(None),
            (_, None) => Err(self.error(MISSING_ARGUMENT)),
            (_, Some(word)) => {
                self.next += 1;
                Ok(Some(word))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line as `name`, `name=value`, `word: reason`, with positional words at the end.
    fn cut(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut lexer = Lexer::new(&words);
        let mut seen = Vec::new();
        while let Some(token) = lexer.next_token() {
            match token {
                Ok(Token { spelling, value: None, .. }) => seen.push(spelling.long.to_owned()),
                Ok(Token { spelling, value: Some(value), .. }) => {
                    seen.push(format!("{}={value}", spelling.long));
                }
                Err(error) => {
                    seen.push(format!("{}: {}", error.word, error.reason));
                    return seen;
                }
            }
        }
        seen.extend(lexer.positional.iter().map(|word| (*word).to_owned()));
        seen
    }

    #[test]
    fn words_are_cut_as_popt_cuts_them() {
        let table: &[(&str, &[&str])] = &[
            ("-Ln", &["list", "numeric"]),
            ("-LcnX", &["list", "connection", "numeric", "exact"]),
            ("-At 10.0.0.1:97", &["add-service", "tcp-service=10.0.0.1:97"]),
            ("-t10.0.0.1:97", &["tcp-service=10.0.0.1:97"]),
            ("-tcp-service X", &["tcp-service=cp-service", "X"]),
            ("--tcp-service=X --weight 3", &["tcp-service=X", "weight=3"]),
            ("-p=100 -p100 -p 100", &["persistent=100"; 3]),
            ("-p -n", &["persistent", "numeric"]),
            ("-p", &["persistent"]),
            ("-p -5", &["persistent", "-5: unknown option"]),
            ("-w -1", &["weight=-1"]),
            ("-t --", &["tcp-service=--"]),
            ("-t", &["-t: missing argument"]),
            ("-At", &["add-service", "-At: missing argument"]),
            ("--set -- -1 2 3", &["set", "-1", "2", "3"]),
            ("--set=5", &["--set=5: option does not take an argument"]),
            ("--lis", &["--lis: unknown option"]),
            ("-V", &["-V: unknown option"]),
            ("-L - x", &["list", "-", "x"]),
            ("-n=5", &["-n=5: option does not take an argument"]),
            ("-LnX=5", &["list", "numeric", "-LnX=5: option does not take an argument"]),
            ("-nw=5", &["numeric", "weight=5"]),
            ("-w=5=6 -w5=6", &["weight=5=6", "weight=5=6"]),
            ("-=3", &["-=3: unknown option"]),
            ("--start-daemon", &["--start-daemon: missing argument"]),
        ];
        for (line, expected) in table {
            assert_eq!(cut(line), *expected, "{line}");
        }
    }

    #[test]
    fn every_spelling_is_there_once() {
        for (index, spelling) in SPELLINGS.iter().enumerate() {
            for other in &SPELLINGS[index + 1..] {
                assert_ne!(spelling.long, other.long);
                assert!(!spelling.short.chars().any(|letter| other.short.contains(letter)));
            }
        }
    }
}
