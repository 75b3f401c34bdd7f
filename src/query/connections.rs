//! `connections`: every worker's connections, then the persistence templates.

use super::{Answer, Column, NoArgs, Query, View};
use crate::api::{Refusal, Rows};
use crate::conn::template::{SweepCursor, Template, TemplateId};
use crate::conn::{NO_DESTINATION, Templates, state};
use crate::limits::REPLY_ROWS;
use crate::model::{ConnectionRow, Family, Protocol};
use crate::snapshot::{Destination, Pages};
use crate::time::Instant;
use crate::worker::{ConnectionPiece, RawConnection, TableJob};
use std::net::{IpAddr, SocketAddr};

pub struct Connections;

impl Query for Connections {
    const NAME: &'static str = "connections";
    const ABOUT: &'static str = "Connections and persistence templates";
    const COLUMNS: &'static [Column<ConnectionRow>] = &[
        Column::left("protocol", |row| row.protocol.clone()),
        Column::left("state", |row| row.state.clone()),
        Column::right("expires", |row| format!("{} s", row.expires_s)),
        Column::left("client", |row| row.client.to_string()),
        Column::left("virtual", |row| row.virtual_address.to_string()),
        Column::left("destination", |row| row.destination.to_string()),
    ];
    type Args = NoArgs;
    type Row = ConnectionRow;

    fn answer(_: &mut dyn View, _: NoArgs) -> Result<Answer<ConnectionRow>, Refusal> {
        Ok(Answer::Walk(Walk::begin()))
    }
}

/// The persistence engine.
const SIP: &str = "sip";

/// Position of a bounded walk over all workers' tables and the templates.
#[derive(Debug)]
pub enum Walk {
    /// In a worker's table; the worker has the job, or gets it next.
    Worker {
        worker: usize,
        family: Family,
        cursor: u32,
    },
    Templates(SweepCursor),
    Done,
}

impl Walk {
    fn begin() -> Self {
        Walk::Worker { worker: 0, family: Family::Ipv4, cursor: 0 }
    }

    /// The job for the next rows, if a worker must provide them.
    pub fn job(&self) -> Option<(usize, TableJob)> {
        match *self {
            Walk::Worker { worker, family, cursor } => {
                let rows = Vec::with_capacity(REPLY_ROWS);
                let piece = ConnectionPiece { family, cursor, rows, is_last: false };
                Some((worker, TableJob::List(piece)))
            }
            Walk::Templates(_) | Walk::Done => None,
        }
    }

    /// Takes a finished job and advances.
    pub fn take(
        &mut self,
        piece: ConnectionPiece,
        workers: usize,
        destinations: &Pages<Destination>,
    ) -> Rows {
        let Walk::Worker { worker, family, cursor } = self else {
            return Rows::of(Vec::<ConnectionRow>::new());
        };
        if !piece.is_last {
            *cursor = piece.cursor;
        } else if *family == Family::Ipv4 {
            (*family, *cursor) = (Family::Ipv6, 0);
        } else if *worker + 1 < workers {
            (*worker, *family, *cursor) = (*worker + 1, Family::Ipv4, 0);
        } else {
            *self = Walk::Templates(SweepCursor::default());
        }
        Rows::of(piece.rows.iter().map(|raw| row(raw, destinations)).collect::<Vec<_>>())
    }

    /// The next rows of the templates.
    pub fn templates(
        &mut self,
        templates: &Templates,
        destinations: &Pages<Destination>,
        now: Instant,
    ) -> Option<Rows> {
        let Walk::Templates(cursor) = *self else { return None };
        let (rows, next) = templates.rows_from(cursor, REPLY_ROWS, now);
        *self = next.map_or(Walk::Done, Walk::Templates);
        let engine = |id: TemplateId, template: &Template| {
            if template.key.call == 0 {
                return None;
            }
            let name = templates.call_id(id, &template.key).unwrap_or_default();
            Some((SIP.to_owned(), String::from_utf8_lossy(&name).into_owned()))
        };
        let row = |id: TemplateId, template: &Template| {
            let client = template.key.client;
            let destination = destinations
                .get(template.destination as usize)
                .map_or(unspecified(client), |to| to.address);
            ConnectionRow {
                protocol: template.key.protocol_name().to_owned(),
                state: template.state_name().to_owned(),
                expires_s: template.remaining(now).as_secs() as u32,
                client: SocketAddr::new(client, 0),
                virtual_address: SocketAddr::new(
                    template.key.virtual_address,
                    template.key.virtual_port,
                ),
                destination: SocketAddr::new(destination, template.destination_port),
                persistence_engine: engine(id, template),
            }
        };
        Some(Rows::of(rows.iter().map(|(id, template)| row(*id, template)).collect::<Vec<_>>()))
    }
}

fn row(raw: &RawConnection, destinations: &Pages<Destination>) -> ConnectionRow {
    let protocol = Protocol::from_number(raw.protocol);
    let (mut destination, port) = raw.destination_address;
    if raw.destination == NO_DESTINATION {
        destination = unspecified(raw.client.0);
    } else if let Some(known) = destinations.get(raw.destination as usize) {
        destination = known.address;
    }
    ConnectionRow {
        protocol: protocol
            .map_or_else(|| raw.protocol.to_string(), |known| known.name().to_owned()),
        state: protocol.map_or("NONE", |known| state::name(known, raw.state)).to_owned(),
        expires_s: (raw.remaining_ms / 1000) as u32,
        client: raw.client.into(),
        virtual_address: raw.virtual_address.into(),
        destination: SocketAddr::new(destination, port),
        persistence_engine: None,
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
