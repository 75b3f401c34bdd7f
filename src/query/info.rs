//! `info`: version and table size, which ipvsadm's banner shows.

use super::{Answer, Column, NoArgs, Query, View};
use crate::api::Refusal;
use serde::{Deserialize, Serialize};

pub struct Info;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoRow {
    pub version: String,
    /// What ipvsadm's banner calls `size`: slots of the connection table.
    pub connection_table_size: u64,
}

impl Query for Info {
    const NAME: &'static str = "info";
    const ABOUT: &'static str = "Version and size of the connection table";
    const ONE_ROW: bool = true;
    const COLUMNS: &'static [Column<InfoRow>] = &[
        Column::left("version", |row| row.version.clone()),
        Column::right("connection table", |row| row.connection_table_size.to_string()),
    ];
    type Args = NoArgs;
    type Row = InfoRow;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<InfoRow>, Refusal> {
        Ok(Answer::Now(vec![InfoRow {
            version: view.info().version.clone(),
            connection_table_size: view.sizing().connections_ipv4 as u64,
        }]))
    }
}
