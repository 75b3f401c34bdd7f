//! `neighbours`: next hops and their MAC addresses.

use super::{Answer, Column, NoArgs, Query, View};
use crate::api::Refusal;
use crate::model::MacAddress;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

pub struct Neighbours;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourRow {
    pub address: IpAddr,
    pub port: String,
    /// `None` while unresolved.
    pub mac: Option<String>,
    /// `permanent`, `reachable`, `probe`, `incomplete` or `failed`.
    pub state: String,
    /// Packets that wait for it.
    pub queued: u64,
}

impl Query for Neighbours {
    const NAME: &'static str = "neighbours";
    const ABOUT: &'static str = "Next hops and how they are reached";
    const COLUMNS: &'static [Column<NeighbourRow>] = &[
        Column::left("address", |row| row.address.to_string()),
        Column::left("port", |row| row.port.clone()),
        Column::left("MAC", |row| row.mac.clone().unwrap_or_else(|| "-".to_owned())),
        Column::left("state", |row| row.state.clone()),
        Column::right("waiting", |row| row.queued.to_string()),
    ];
    type Args = NoArgs;
    type Row = NeighbourRow;

    fn answer(view: &mut dyn View, _: NoArgs) -> Result<Answer<NeighbourRow>, Refusal> {
        let neighbours = view.neighbours().into_iter();
        let rows = neighbours.map(|neighbour| NeighbourRow {
            address: neighbour.address,
            // Each port has one interface with the same name.
            port: view.info().ports.get(neighbour.interface.index()).cloned().unwrap_or_default(),
            mac: neighbour.mac.map(|mac| MacAddress(mac).to_string()),
            state: neighbour.state.name().to_owned(),
            queued: neighbour.queued as u64,
        });
        Ok(Answer::Now(rows.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_and_not() {
        let resolved = NeighbourRow {
            address: "192.168.10.11".parse().unwrap(),
            port: "lan0".to_owned(),
            mac: Some("02:00:00:00:10:0b".to_owned()),
            state: "reachable".to_owned(),
            queued: 0,
        };
        let waiting = NeighbourRow {
            address: "2001:db8::1".parse().unwrap(),
            mac: None,
            state: "incomplete".to_owned(),
            queued: 3,
            ..resolved.clone()
        };
        let expected = [
            "address        port  MAC                state       waiting",
            "192.168.10.11  lan0  02:00:00:00:10:0b  reachable         0",
            "2001:db8::1    lan0  -                  incomplete        3",
        ];
        assert_eq!(Neighbours::text(&[resolved, waiting]).lines().collect::<Vec<_>>(), expected);
    }
}
