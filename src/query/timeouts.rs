//! `timeouts`: the timeouts of idle connections.

use super::{Answer, Column, NoArgs, Query, View};
use crate::api::Refusal;
use crate::model::Timeouts;

pub struct TimeoutsQuery;

impl Query for TimeoutsQuery {
    const NAME: &'static str = "timeouts";
    const ABOUT: &'static str = "How long idle connections are kept, in seconds";
    const ONE_ROW: bool = true;
    const COLUMNS: &'static [Column<Timeouts>] = &[
        Column::right("TCP", |row| row.tcp.to_string()),
        Column::right("TCP FIN", |row| row.tcp_fin.to_string()),
        Column::right("UDP", |row| row.udp.to_string()),
    ];
    type Args = NoArgs;
    type Row = Timeouts;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<Timeouts>, Refusal> {
        Ok(Answer::Now(vec![view.timeouts()]))
    }
}
