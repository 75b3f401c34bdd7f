//! A table of the file: its keys, its check, and its rule for reloads.

use super::document::Document;
use super::known::Known;
use super::report::Report;
use std::fmt;

/// One kind of table, `[NAME]` or `[[NAME]]`. The file of a table implements this, and the list in `mod.rs` names it.
pub trait Table {
    /// As the file spells it.
    const NAME: &'static str;
    /// The keys before the check: any number and any text of TOML.
    type Raw;
    /// The keys of a valid table.
    type Checked: Clone + fmt::Debug + PartialEq;
    /// What a reload applies while the director runs; [`Infallible`](std::convert::Infallible) if the table is read at
    /// start only.
    type Update: Clone + fmt::Debug + PartialEq;

    /// Takes the table out of the document and reports keys that do not fit its shape.
    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw;

    /// Checks the values, also against the tables before it in the list. A faulty value is reported and replaced by a
    /// valid one, so that the checks after it run too.
    fn check(raw: Self::Raw, known: &mut Known, report: &mut Report<'_>) -> Self::Checked;

    /// Compares the table of the running configuration with that of the file.
    fn changed(old: &Self::Checked, new: &Self::Checked) -> Change<Self::Update>;
}

/// What a reload does with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<U> {
    /// The table has not changed.
    None,
    /// The running director applies this.
    Live(U),
    /// These keys changed, but are read at start only.
    Restart(Vec<String>),
}

impl<U> Change<U> {
    /// For a table that is read at start only: each key, with true if it has not changed.
    pub fn restart<'k>(keys: impl IntoIterator<Item = (&'k str, bool)>) -> Self {
        let changed = keys.into_iter().filter(|(_, same)| !same);
        let keys: Vec<String> = changed.map(|(key, _)| key.to_owned()).collect();
        if keys.is_empty() { Change::None } else { Change::Restart(keys) }
    }

    /// Joins the changes of two parts of a table. A restart of one part is a restart of both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Change::Restart(mut keys), Change::Restart(more)) => {
                keys.extend(more);
                Change::Restart(keys)
            }
            (restart @ Change::Restart(_), _) | (_, restart @ Change::Restart(_)) => restart,
            (Change::None, other) => other,
            (live, _) => live,
        }
    }
}

impl<U: Clone + PartialEq> Change<U> {
    /// For a table that the running director applies as a whole.
    pub fn live(old: &U, new: &U) -> Self {
        if old == new { Change::None } else { Change::Live(new.clone()) }
    }
}

/// The new value, if it differs from the old one.
pub(super) fn if_changed<T: Clone + PartialEq>(old: &T, new: &T) -> Option<T> {
    (old != new).then(|| new.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_decides() {
        let restart = |key: &str| Change::<u8>::Restart(vec![key.to_owned()]);
        assert_eq!(Change::live(&1, &1), Change::None);
        assert_eq!(Change::live(&1, &2), Change::Live(2));
        assert_eq!(Change::restart([("a", true), ("b", false)]), restart("b"));
        assert_eq!(Change::restart([("a", true)]), Change::<u8>::None);
        assert_eq!(Change::Live(2).and(Change::None), Change::Live(2));
        assert_eq!(Change::None.and(Change::Live(2)), Change::Live(2));
        assert_eq!(Change::Live(2).and(restart("a")), restart("a"));
        assert_eq!(restart("a").and(restart("b")), Change::Restart(vec!["a".into(), "b".into()]));
    }
}
