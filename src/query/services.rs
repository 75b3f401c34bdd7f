//! `services`: all services, or one, with their destinations and counters.

use super::{Answer, Column, Listing, Query, View, table};
use crate::api::{Refusal, RefusalCode, Rows};
use crate::limits::REPLY_ROWS;
use crate::model::{DestinationRow, ServiceKey, ServiceRow};
use serde::{Deserialize, Serialize};

pub struct Services;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicesArgs {
    /// One service; `None`: all.
    #[arg(skip)]
    pub only: Option<ServiceKey>,
}

impl Query for Services {
    const NAME: &'static str = "services";
    const ABOUT: &'static str = "Services with their destinations and counters";
    const COLUMNS: &'static [Column<ServiceRow>] = &[
        Column::left("service", |row| row.spec.key.to_string()),
        Column::left("scheduler", |row| row.spec.scheduler.to_string()),
        Column::right("destinations", |row| row.destinations.len().to_string()),
        Column::right("connections", |row| row.counters.connections.to_string()),
        Column::right("packets in", |row| row.counters.in_packets.to_string()),
        Column::right("packets out", |row| row.counters.out_packets.to_string()),
    ];
    type Args = ServicesArgs;
    type Row = ServiceRow;

    fn answer(view: &mut dyn View, args: ServicesArgs) -> Result<Answer<ServiceRow>, Refusal> {
        let Some(key) = args.only else {
            return Ok(Answer::Listing(Box::new(ServiceListing::default())));
        };
        match view.service(&key) {
            Some(row) => Ok(Answer::Now(vec![row])),
            None => Err(Refusal::new(RefusalCode::ESRCH, format!("there is no service {key}"))),
        }
    }

    /// The services, then the destinations of all.
    fn text(rows: &[ServiceRow]) -> String {
        let mut text = table(Self::COLUMNS, rows);
        let of = |row: &ServiceRow| {
            let key = row.spec.key;
            row.destinations.clone().into_iter().map(move |destination| (key, destination))
        };
        let destinations: Vec<(ServiceKey, DestinationRow)> = rows.iter().flat_map(of).collect();
        if !destinations.is_empty() {
            text.push('\n');
            text.push_str(&table(DESTINATIONS, &destinations));
        }
        text
    }
}

const DESTINATIONS: &[Column<(ServiceKey, DestinationRow)>] = &[
    Column::left("service", |row| row.0.to_string()),
    Column::left("destination", |row| row.1.spec.at.to_string()),
    Column::left("method", |row| row.1.spec.method.name().to_owned()),
    Column::right("weight", |row| row.1.weight.to_string()),
    Column::right("specified", |row| row.1.spec.weight.to_string()),
    Column::left("overlays", |row| overlays(&row.1)),
    Column::right("active", |row| row.1.active_connections.to_string()),
    Column::right("inactive", |row| row.1.inactive_connections.to_string()),
    Column::right("persistent", |row| row.1.persistent_connections.to_string()),
];

/// Overlays of the destination, e.g. `drain` or `down`, each with its origin.
fn overlays(row: &DestinationRow) -> String {
    match row.overlays.is_empty() {
        true => "-".to_owned(),
        false => row
            .overlays
            .iter()
            .map(|owned| format!("{} ({})", owned.overlay, owned.origin))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A listing in progress, newest service first. It does not show later changes of services that are listed already.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceListing {
    /// Number of the last service listed.
    pub last: Option<u64>,
}

impl ServiceListing {
    /// The next rows, from services before [`Self::last`] with their numbers: at most [`REPLY_ROWS`] rows of services
    /// and destinations together, or one longer service.
    pub fn piece(&mut self, services: impl Iterator<Item = (u64, ServiceRow)>) -> Vec<ServiceRow> {
        let (mut count, mut piece) = (0, Vec::new());
        for (number, row) in services {
            count += 1 + row.destinations.len();
            if count > REPLY_ROWS && !piece.is_empty() {
                break;
            }
            piece.push(row);
            self.last = Some(number);
            if count >= REPLY_ROWS {
                break;
            }
        }
        piece
    }
}

impl Listing for ServiceListing {
    fn next(&mut self, view: &dyn View) -> Option<Rows> {
        let piece = self.piece(view.services_before(self.last));
        (!piece.is_empty()).then(|| Rows::of(piece))
    }
}
