//! A table of the file: its keys, its check, and its rule for reloads.

use super::document::Document;
use super::known::Known;
use super::report::Report;
use std::fmt;

/// One kind of table, `[NAME]` or `[[NAME]]`. The file of a table implements this, and the list in `mod.rs` names it.
pub trait ConfigTable {
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
    fn changed(old: &Self::Checked, new: &Self::Checked) -> ReloadChange<Self::Update>;
}

/// What a reload does with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadChange<U> {
    /// The table has not changed.
    None,
    /// The running director applies this.
    Live(U),
    /// These keys changed, but are read at start only.
    Restart(Vec<String>),
}

impl<U> ReloadChange<U> {
    /// For a table that is read at start only: each key, with true if it has not changed.
    pub fn restart<'k>(keys: impl IntoIterator<Item = (&'k str, bool)>) -> Self {
        let changed = keys.into_iter().filter(|(_, same)| !same);
        let keys: Vec<String> = changed.map(|(key, _)| key.to_owned()).collect();
        if keys.is_empty() { ReloadChange::None } else { ReloadChange::Restart(keys) }
    }

    /// Joins the changes of two parts of a table. A restart of one part is a restart of both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (ReloadChange::Restart(mut keys), ReloadChange::Restart(more)) => {
                keys.extend(more);
                ReloadChange::Restart(keys)
            }
            (restart @ ReloadChange::Restart(_), _) | (_, restart @ ReloadChange::Restart(_)) => {
                restart
            }
            (ReloadChange::None, other) => other,
            (live, _) => live,
        }
    }
}

impl<U: Clone + PartialEq> ReloadChange<U> {
    /// For a table that the running director applies as a whole.
    pub fn live(old: &U, new: &U) -> Self {
        if old == new { ReloadChange::None } else { ReloadChange::Live(new.clone()) }
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
        let restart = |key: &str| ReloadChange::<u8>::Restart(vec![key.to_owned()]);
        assert_eq!(ReloadChange::live(&1, &1), ReloadChange::None);
        assert_eq!(ReloadChange::live(&1, &2), ReloadChange::Live(2));
        assert_eq!(ReloadChange::restart([("a", true), ("b", false)]), restart("b"));
        assert_eq!(ReloadChange::restart([("a", true)]), ReloadChange::<u8>::None);
        assert_eq!(ReloadChange::Live(2).and(ReloadChange::None), ReloadChange::Live(2));
        assert_eq!(ReloadChange::None.and(ReloadChange::Live(2)), ReloadChange::Live(2));
        assert_eq!(ReloadChange::Live(2).and(restart("a")), restart("a"));
        assert_eq!(
            restart("a").and(restart("b")),
            ReloadChange::Restart(vec!["a".into(), "b".into()])
        );
    }
}
