//! Collects the faults of one file, and checks single values: numbers against a range, texts by a
//! parser.

use super::fault::{Fault, Faults};
use std::fmt::Display;
use std::ops::RangeInclusive;
use toml::Spanned;

/// A key that may be left out, with its place in the text.
pub(super) type Field<T> = Option<Spanned<T>>;

/// The faults found so far. A check that finds a fault still returns a value, so that later checks run too. The result is
/// used only if there are no faults at the end.
pub struct Report<'t> {
    file: &'t str,
    /// Offsets of the line ends.
    line_ends: Vec<usize>,
    faults: Vec<Fault>,
}

impl<'t> Report<'t> {
    pub fn new(file: &'t str, text: &str) -> Self {
        let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_ends = line_ends.map(|(offset, _)| offset).collect();
        Report { file, line_ends, faults: Vec::new() }
    }

    pub fn count(&self) -> usize {
        self.faults.len()
    }

    pub fn finish(self) -> Option<Faults> {
        Faults::of(self.faults)
    }

    /// The line, from 1, that the byte at `offset` is in.
    pub fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    pub fn fault(&mut self, offset: usize, key: &str, problem: impl Display) {
        self.add(Some(offset), key, problem, None);
    }

    pub fn fault_allowed(
        &mut self,
        offset: usize,
        key: &str,
        problem: impl Display,
        allowed: impl Display,
    ) {
        self.add(Some(offset), key, problem, Some(allowed.to_string()));
    }

    /// A fault of the file as a whole.
    pub fn fault_of_file(&mut self, key: &str, problem: impl Display) {
        self.add(None, key, problem, None);
    }

    fn add(
        &mut self,
        offset: Option<usize>,
        key: &str,
        problem: impl Display,
        allowed: Option<String>,
    ) {
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line: offset.map(|offset| self.line(offset)),
            key: key.to_owned(),
            problem: problem.to_string(),
            allowed,
        });
    }

    /// The number, or `None` after reporting that it is out of range.
    pub fn number_at<T>(
        &mut self,
        number: &Spanned<i64>,
        key: &str,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let value = T::try_from(*number.get_ref()).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let problem = format!("{} is out of range", number.get_ref());
            let allowed = format!("{} to {}", range.start(), range.end());
            self.fault_allowed(number.span().start, key, problem, allowed);
        }
        value
    }

    /// As [`Report::number_at`]; `None` also if the key was left out.
    pub fn number<T>(
        &mut self,
        field: &Field<i64>,
        key: &str,
        range: RangeInclusive<T>,
    ) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        self.number_at(field.as_ref()?, key, range)
    }

    /// The parsed text, or `None` after reporting the parser's error.
    pub fn text_at<T, E: Display>(
        &mut self,
        text: &Spanned<String>,
        key: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(text.get_ref()) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.fault_allowed(text.span().start, key, problem, allowed);
                None
            }
        }
    }

    /// As [`Report::text_at`]; `None` also if the key was left out.
    pub fn text<T, E: Display>(
        &mut self,
        field: &Field<String>,
        key: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.text_at(field.as_ref()?, key, allowed, parse)
    }

    /// The value that the word stands for, or `None` after listing the words.
    pub fn word_at<T: Copy>(
        &mut self,
        text: &Spanned<String>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| word == text.get_ref());
        if found.is_none() {
            let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let problem = format!("unknown value `{}`", text.get_ref());
            self.fault_allowed(text.span().start, key, problem, allowed.join(", "));
        }
        found.map(|(_, value)| *value)
    }

    /// As [`Report::word_at`]; `None` also if the key was left out.
    pub fn word<T: Copy>(
        &mut self,
        field: &Field<String>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.word_at(field.as_ref()?, key, words)
    }
}
