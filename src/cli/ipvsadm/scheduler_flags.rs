//! The names of scheduler flags: sh and mh have their own names for the first two.

use crate::model::{SchedulerFlags, SchedulerKind};

const GENERIC: [(&str, SchedulerFlags); 3] = [
    ("flag-1", SchedulerFlags::FLAG_1),
    ("flag-2", SchedulerFlags::FLAG_2),
    ("flag-3", SchedulerFlags::FLAG_3),
];

const SOURCE_HASHING: [(&str, SchedulerFlags); 2] =
    [("sh-fallback", SchedulerFlags::FLAG_1), ("sh-port", SchedulerFlags::FLAG_2)];

const MAGLEV_HASHING: [(&str, SchedulerFlags); 2] =
    [("mh-fallback", SchedulerFlags::FLAG_1), ("mh-port", SchedulerFlags::FLAG_2)];

/// Why a list of flags is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FlagError {
    /// No scheduler has this flag.
    Invalid(String),
    /// Another scheduler has this flag.
    Incompatible(String),
}

fn own_names(scheduler: &str) -> &'static [(&'static str, SchedulerFlags)] {
    if scheduler == SchedulerKind::Sh.name() {
        &SOURCE_HASHING
    } else if scheduler == SchedulerKind::Mh.name() {
        &MAGLEV_HASHING
    } else {
        &[]
    }
}

fn find(names: &[(&str, SchedulerFlags)], word: &str) -> Option<SchedulerFlags> {
    names.iter().find(|(name, _)| *name == word).map(|(_, flag)| *flag)
}

/// Parses a list separated by commas; empty items are skipped.
///
/// # Errors
/// The first flag that does not exist or belongs to another scheduler.
pub(super) fn parse(list: &str, scheduler: &str) -> Result<SchedulerFlags, FlagError> {
    let mut flags = SchedulerFlags::empty();
    for word in list.split(',').filter(|word| !word.is_empty()) {
        let flag = find(&GENERIC, word).or_else(|| find(own_names(scheduler), word));
        match flag {
            Some(flag) => flags |= flag,
            None if find(&SOURCE_HASHING, word).or(find(&MAGLEV_HASHING, word)).is_some() => {
                return Err(FlagError::Incompatible(word.to_owned()));
            }
            None => return Err(FlagError::Invalid(word.to_owned())),
        }
    }
    Ok(flags)
}

/// The flags as in listings. sh and mh have no name for the third.
pub(super) fn names(flags: SchedulerFlags, scheduler: SchedulerKind) -> String {
    let own = own_names(scheduler.name());
    let names = if own.is_empty() { &GENERIC[..] } else { own };
    let words: Vec<&str> =
        names.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(name, _)| *name).collect();
    words.join(",")
}

/// The flags as `-R` reads them. The third flag of sh or mh, which listings omit, gets its general name; otherwise it
/// would be lost.
pub(super) fn saved_names(flags: SchedulerFlags, scheduler: SchedulerKind) -> String {
    let mut names = names(flags, scheduler);
    if flags.contains(SchedulerFlags::FLAG_3) && !own_names(scheduler.name()).is_empty() {
        names += if names.is_empty() { "flag-3" } else { ",flag-3" };
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_flags_are_read_back() {
        for scheduler in [SchedulerKind::Sh, SchedulerKind::Mh, SchedulerKind::Rr] {
            for flags in (1..8).map(SchedulerFlags::from_bits_truncate) {
                let saved = saved_names(flags, scheduler);
                assert_eq!(parse(&saved, scheduler.name()), Ok(flags), "{scheduler} {saved}");
                assert!(!saved.is_empty());
            }
        }
    }

    #[test]
    fn flags_belong_to_schedulers() {
        let both = SchedulerFlags::FLAG_1 | SchedulerFlags::FLAG_2;
        assert_eq!(parse("sh-port,sh-fallback", "sh"), Ok(both));
        assert_eq!(parse("mh-port", "mh"), Ok(SchedulerFlags::FLAG_2));
        assert_eq!(parse("flag-3", "mh"), Ok(SchedulerFlags::FLAG_3));
        assert_eq!(parse("", "rr"), Ok(SchedulerFlags::empty()));
        assert_eq!(parse(",", "rr"), Ok(SchedulerFlags::empty()));
        assert_eq!(parse("sh-port", "mh"), Err(FlagError::Incompatible("sh-port".to_owned())));
        assert_eq!(parse("sh-port", ""), Err(FlagError::Incompatible("sh-port".to_owned())));
        assert_eq!(parse("flag-1,x", "sh"), Err(FlagError::Invalid("x".to_owned())));
        assert_eq!(names(both, SchedulerKind::Sh), "sh-fallback,sh-port");
        assert_eq!(names(both, SchedulerKind::Mh), "mh-fallback,mh-port");
        assert_eq!(names(SchedulerFlags::all(), SchedulerKind::Wrr), "flag-1,flag-2,flag-3");
        assert_eq!(names(SchedulerFlags::FLAG_3, SchedulerKind::Sh), "");
    }
}
