//! Questions about a running director, one file each.
//!
//! A question's file has its name, arguments, rows, text columns and answer. The wire form, the JSON, the subcommand of
//! directorctl and the shell completion follow from them. A new question is a new file and a line in [`ALL`].

mod connections;
mod drops;
mod info;
mod interfaces;
mod neighbours;
mod ports;
mod queues;
mod registry;
mod services;
mod status;
mod sync_daemons;
mod sysctl;
mod table;
mod timeouts;
mod view;

use crate::api::{Client, ClientError, Refusal, Reply, Request, Rows};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use connections::{Connections, Walk};
pub use drops::{DropRow, Drops};
pub use info::{Info, InfoRow};
pub use interfaces::Interfaces;
pub use neighbours::{NeighbourRow, Neighbours};
pub use ports::Ports;
pub use queues::{QueueRow, Queues};
pub use registry::{AnyQuery, Pieces, find};
pub use services::{ServiceListing, Services, ServicesArgs};
pub use status::{ReloadStatus, Status, StatusReport, WorkerStatus, rss_check_result};
pub use sync_daemons::SyncDaemons;
pub use sysctl::{Sysctl, SysctlArgs, SysctlRow};
pub use table::{Column, table};
pub use timeouts::TimeoutsQuery;
pub use view::{
    InterfaceRow, KernelInterfaceRow, LastReload, PortRow, PortRows, StaticInfo, Turns, View,
};

use registry::Entry;

/// Every question, in the order of `directorctl --help`.
pub const ALL: &[&dyn AnyQuery] = &[
    &Entry::<Status>::NEW,
    &Entry::<Queues>::NEW,
    &Entry::<Ports>::NEW,
    &Entry::<Interfaces>::NEW,
    &Entry::<Neighbours>::NEW,
    &Entry::<Drops>::NEW,
    &Entry::<Services>::NEW,
    &Entry::<Connections>::NEW,
    &Entry::<TimeoutsQuery>::NEW,
    &Entry::<SyncDaemons>::NEW,
    &Entry::<Info>::NEW,
    &Entry::<Sysctl>::NEW,
];

/// A question: what is asked, and what the answer's rows look like.
pub trait Query: 'static {
    /// On the wire, and as subcommand of directorctl.
    const NAME: &'static str;
    /// One line of help.
    const ABOUT: &'static str;
    /// The answer is one row, which JSON shows without a list around it.
    const ONE_ROW: bool = false;
    /// The columns of the answer's table.
    const COLUMNS: &'static [Column<Self::Row>];
    /// Arguments of the subcommand, which go over the wire as an object.
    type Args: clap::Args + Serialize + DeserializeOwned;
    type Row: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Answers from the running director.
    ///
    /// # Errors
    /// The question cannot be answered.
    fn answer(view: &mut dyn View, args: Self::Args) -> Result<Answer<Self::Row>, Refusal>;

    /// The whole answer as text: the table, unless a question shows more.
    fn text(rows: &[Self::Row]) -> String {
        table(Self::COLUMNS, rows)
    }
}

/// Arguments of a question that has none.
#[derive(Clone, Copy, Debug, Default, clap::Args, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

/// How a question is answered.
pub enum Answer<R> {
    /// At once.
    Now(Vec<R>),
    /// By a thread of its own, because the rows come from devices.
    Elsewhere(Box<dyn FnOnce() -> Vec<R> + Send>),
    /// The question changed something: when every worker uses the change.
    Published(Vec<R>),
    /// Piece by piece, as the client takes them.
    Listing(Box<dyn Listing>),
    /// Piece by piece, as the workers bring them.
    Walk(Walk),
}

/// An answer that comes in pieces.
pub trait Listing {
    /// The next piece; `None` after the last.
    fn next(&mut self, view: &dyn View) -> Option<Rows>;
}

/// The request that asks this question.
pub fn request<Q: Query>(args: &Q::Args) -> Request {
    // Arguments are numbers and texts under names: they always have a JSON form.
    let args = serde_json::to_value(args).unwrap_or(Value::Null);
    Request::Query { query: Q::NAME.to_owned(), args }
}

/// Asks through `call` and hands over the rows, piece by piece.
///
/// # Errors
/// As [`Client::call`].
pub fn ask<Q: Query>(
    args: &Q::Args,
    call: impl FnOnce(Request, &mut dyn FnMut(Reply)) -> Result<(), ClientError>,
    mut each: impl FnMut(Vec<Q::Row>),
) -> Result<(), ClientError> {
    let mut garbled = None;
    call(request::<Q>(args), &mut |reply| {
        if let Reply::Rows(rows) = reply {
            match rows.read() {
                Ok(rows) => each(rows),
                Err(error) => garbled = Some(error),
            }
        }
    })?;
    garbled.map_or(Ok(()), |error| Err(error.into()))
}

impl Client {
    /// Asks a question and gives all rows of the answer.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn ask<Q: Query>(&mut self, args: &Q::Args) -> Result<Vec<Q::Row>, ClientError> {
        let mut rows = Vec::new();
        ask::<Q>(args, |request, each| self.call(request, each), |piece| rows.extend(piece))?;
        Ok(rows)
    }
}
