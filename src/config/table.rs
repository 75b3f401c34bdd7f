//! What every table of the file has: a raw shape, a check, and a rule for reloads.

use super::document::Document;
use super::known::Known;
use super::report::Report;
use std::fmt;

/// One kind of table, `[NAME]` or `[[NAME]]`. The file of a table implements this, and the list in `mod.rs` names it.
pub trait Table {
    /// As the file spells it.
    const NAME: &'static str;
    /// What the keys say before they are checked: numbers are as wide and texts as free as TOML lets them be.
    type Raw;
    /// What a valid table says.
    type Checked: Clone + fmt::Debug + PartialEq;
    /// What a reload applies while the director runs; [`Infallible`](std::convert::Infallible) if the table is read at
    /// start only.
    type Update: Clone + fmt::Debug + PartialEq;

    /// Takes the table out of the document and reports keys that do not fit its shape.
    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw;

    /// Checks the values, also against the tables before it in the list. A faulty value is reported and replaced by a
    /// valid one, so that the checks after it run too.
    fn check(raw: Self::Raw, known: &mut Known, report: &mut Report<'_>) -> Self::Checked;

    /// What a second reading of the file changes.
    fn changed(old: &Self::Checked, new: &Self::Checked) -> Change<Self::Update>;
}

/// What a reload does about a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<U> {
    /// The table says what it said.
    None,
    /// The director takes this over while it runs.
    Live(U),
    /// These keys changed, and are read at start only.
    Restart(Vec<String>),
}

impl<U> Change<U> {
    /// For a table that is read at start only: its keys, each with whether it stayed the same.
    pub fn restart<'k>(keys: impl IntoIterator<Item = (&'k str, bool)>) -> Self {
        let changed = keys.into_iter().filter(|(_, same)| !same);
        let keys: Vec<String> = changed.map(|(key, _)| key.to_owned()).collect();
        if keys.is_empty() { Change::None } else { Change::Restart(keys) }
    }

    /// The rule of one part of a table, then that of the rest. A restart decides.
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
    /// For a table that the director takes over as a whole while it runs.
    pub fn live(old: &U, new: &U) -> Self {
        if old == new { Change::None } else { Change::Live(new.clone()) }
    }
}

/// The value, if it is not what it was.
pub fn if_changed<T: Clone + PartialEq>(old: &T, new: &T) -> Option<T> {
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
