//! Questions by name, without their types.

use super::{ALL, Answer, Listing, Query, View, Walk, request};
use crate::api::{Refusal, RefusalCode, Request, Rows};
use crate::limits::REPLY_ROWS;
use clap::{Args, FromArgMatches};
use serde::Serialize;
use serde_json::Value;
use std::marker::PhantomData;

/// A question without its types.
pub trait AnyQuery: Sync {
    fn name(&self) -> &'static str;

    /// The subcommand of directorctl.
    fn command(&self) -> clap::Command;

    /// The request of a command line.
    ///
    /// # Errors
    /// The arguments do not fit.
    fn request(&self, matches: &clap::ArgMatches) -> Result<Request, clap::Error>;

    /// Answers arguments as they came over the wire.
    ///
    /// # Errors
    /// The question cannot be answered.
    fn answer(&self, view: &mut dyn View, args: Value) -> Result<Pieces, Refusal>;

    /// The whole answer as text for people.
    ///
    /// # Errors
    /// The rows are of another shape.
    fn text(&self, pieces: &[Rows]) -> serde_json::Result<String>;

    /// The whole answer as JSON.
    ///
    /// # Errors
    /// The rows are of another shape.
    fn json(&self, pieces: &[Rows]) -> serde_json::Result<String>;
}

/// An [`Answer`] without the type of its rows.
pub enum Pieces {
    Now(Rows),
    Elsewhere(Box<dyn FnOnce() -> Rows + Send>),
    Published(Rows),
    Listing(Box<dyn Listing>),
    Walk(Walk),
}

/// The question with this name.
///
/// # Errors
/// A sentence that lists the names.
pub fn find(name: &str) -> Result<&'static dyn AnyQuery, Refusal> {
    ALL.iter().copied().find(|query| query.name() == name).ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|query| query.name()).collect();
        let detail = format!(
            "there is no question `{}`; allowed: {}",
            name.escape_debug(),
            names.join(", ")
        );
        Refusal::new(RefusalCode::EINVAL, detail)
    })
}

/// A question as an element of [`ALL`].
pub(super) struct Entry<Q>(PhantomData<fn() -> Q>);

impl<Q> Entry<Q> {
    pub(super) const NEW: Self = Entry(PhantomData);
}

impl<Q: Query> AnyQuery for Entry<Q> {
    fn name(&self) -> &'static str {
        Q::NAME
    }

    fn command(&self) -> clap::Command {
        Q::Args::augment_args(clap::Command::new(Q::NAME)).about(Q::ABOUT)
    }

    fn request(&self, matches: &clap::ArgMatches) -> Result<Request, clap::Error> {
        Ok(request::<Q>(&Q::Args::from_arg_matches(matches)?))
    }

    fn answer(&self, view: &mut dyn View, args: Value) -> Result<Pieces, Refusal> {
        let args = serde_json::from_value(args).map_err(|error| {
            let detail = format!("the arguments of question `{}` are wrong: {error}", Q::NAME);
            Refusal::new(RefusalCode::EINVAL, detail)
        })?;
        Ok(match Q::answer(view, args)? {
            Answer::Now(rows) if rows.len() > REPLY_ROWS => {
                Pieces::Listing(Box::new(Chunks(rows.into_iter())))
            }
            Answer::Now(rows) => Pieces::Now(Rows::of(rows)),
            Answer::Elsewhere(ask) => Pieces::Elsewhere(Box::new(|| Rows::of(ask()))),
            Answer::Published(rows) => Pieces::Published(Rows::of(rows)),
            Answer::Listing(listing) => Pieces::Listing(listing),
            Answer::Walk(walk) => Pieces::Walk(walk),
        })
    }

    fn text(&self, pieces: &[Rows]) -> serde_json::Result<String> {
        Ok(Q::text(&whole::<Q>(pieces)?))
    }

    fn json(&self, pieces: &[Rows]) -> serde_json::Result<String> {
        let rows = whole::<Q>(pieces)?;
        let text = match rows.as_slice() {
            [row] if Q::ONE_ROW => serde_json::to_string_pretty(row),
            rows => serde_json::to_string_pretty(rows),
        };
        Ok(text? + "\n")
    }
}

fn whole<Q: Query>(pieces: &[Rows]) -> serde_json::Result<Vec<Q::Row>> {
    let mut rows = Vec::new();
    for piece in pieces {
        rows.extend(piece.read()?);
    }
    Ok(rows)
}

/// A complete answer, in pieces of [`REPLY_ROWS`].
struct Chunks<R>(std::vec::IntoIter<R>);

impl<R: Serialize + Send + Sync + 'static> Listing for Chunks<R> {
    fn next(&mut self, _: &dyn View) -> Option<Rows> {
        let rows: Vec<R> = self.0.by_ref().take(REPLY_ROWS).collect();
        (!rows.is_empty()).then(|| Rows::of(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::SysctlRow;

    #[test]
    fn names_are_words_and_differ() {
        let mut names: Vec<_> = ALL.iter().map(|query| query.name()).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(find("dance").err().unwrap().detail.contains("`dance`; allowed: status, "));
    }

    #[test]
    fn every_question_has_a_request_of_its_own_name() {
        for query in ALL {
            let own = query.name();
            let matches = query.command().try_get_matches_from([own]).expect(own);
            let request = query.request(&matches).expect(own);
            let Request::Query { query: name, args } = request else { panic!("{request:?}") };
            assert_eq!(name, own);
            assert!(args.is_object(), "{name}: {args}");
            assert_eq!(query.json(&[]).unwrap(), "[]\n");
            query.text(&[]).expect("no rows are an answer too");
        }
    }

    #[test]
    fn pieces_become_one_answer() {
        let piece = |name: &str| {
            Rows::of(vec![SysctlRow {
                name: name.to_owned(),
                value: "1".to_owned(),
                help: String::new(),
            }])
        };
        let sysctl = find("sysctl").unwrap();
        let pieces = [piece("a"), piece("b")];
        let rows: Vec<SysctlRow> = serde_json::from_str(&sysctl.json(&pieces).unwrap()).unwrap();
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            sysctl.text(&pieces).unwrap(),
            "setting  value  meaning\na        1\nb        1\n"
        );
    }
}
