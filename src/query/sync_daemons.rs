//! `sync-daemons`: running connection synchronisation daemons.

use super::{Answer, Column, NoArgs, Query, View};
use crate::api::{Refusal, SyncDaemon, SyncRole};

pub struct SyncDaemons;

impl Query for SyncDaemons {
    const NAME: &'static str = "sync-daemons";
    const ABOUT: &'static str = "Running connection synchronisation daemons";
    const COLUMNS: &'static [Column<SyncDaemon>] = &[
        Column::left("role", |row| match row.role {
            SyncRole::Master => "master".to_owned(),
            SyncRole::Backup => "backup".to_owned(),
        }),
        Column::left("interface", |row| row.interface.clone()),
        Column::right("id", |row| row.sync_id.to_string()),
    ];
    type Args = NoArgs;
    type Row = SyncDaemon;

    /// None: the director refuses to start one.
    fn answer(_: &mut dyn View, _: NoArgs) -> Result<Answer<SyncDaemon>, Refusal> {
        Ok(Answer::Now(Vec::new()))
    }
}
