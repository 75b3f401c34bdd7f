//! `[tables]`: the capacities of the director's tables.

use super::document::Document;
use super::known::Known;
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::limits;
use serde::Deserialize;
use std::convert::Infallible;
use std::ops::RangeInclusive;

/// Capacities, fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    /// IPv4 connections per worker.
    pub connections: usize,
    /// IPv6 connections per worker.
    pub connections_ipv6: usize,
    pub services: usize,
    /// Over all services.
    pub destinations: usize,
    /// Persistence templates, shared by all workers.
    pub templates: usize,
}

impl Default for Tables {
    fn default() -> Self {
        Tables {
            connections: limits::CONNECTIONS_DEFAULT,
            connections_ipv6: limits::CONNECTIONS_DEFAULT / 4,
            services: limits::SERVICES_DEFAULT,
            destinations: limits::DESTINATIONS_DEFAULT,
            templates: limits::CONNECTIONS_DEFAULT,
        }
    }
}

/// `[tables]`.
pub struct TablesTable;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    connections: Field<i64>,
    connections_ipv6: Field<i64>,
    services: Field<i64>,
    destinations: Field<i64>,
    templates: Field<i64>,
}

impl ConfigTable for TablesTable {
    const NAME: &'static str = "tables";
    type Raw = Raw;
    type Checked = Tables;
    type Update = Infallible;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Raw {
        document.single(Self::NAME, report)
    }

    fn check(raw: Raw, known: &mut Known, report: &mut Report<'_>) -> Tables {
        /// A connection has a number of 32 bits; two bits are used for the table and for the end of a chain.
        const ENTRIES: RangeInclusive<usize> = 16..=1 << 30;
        /// A template has a number of 32 bits, which also has its shard and a counter of its slot's uses.
        const TEMPLATES: RangeInclusive<usize> = 16..=1 << 28;
        let default = Tables::default();
        let mut size =
            |field, key: &str, range, default| report.number(field, key, range).unwrap_or(default);
        let tables = Tables {
            connections: size(&raw.connections, "tables.connections", ENTRIES, default.connections),
            connections_ipv6: size(
                &raw.connections_ipv6,
                "tables.connections_ipv6",
                ENTRIES,
                default.connections_ipv6,
            ),
            services: size(&raw.services, "tables.services", 1..=1 << 20, default.services),
            destinations: size(
                &raw.destinations,
                "tables.destinations",
                1..=1 << 24,
                default.destinations,
            ),
            templates: size(&raw.templates, "tables.templates", TEMPLATES, default.templates),
        };
        known.keep(tables);
        tables
    }

    fn changed(old: &Tables, new: &Tables) -> ReloadChange<Infallible> {
        let Tables { connections, connections_ipv6, services, destinations, templates } = *old;
        ReloadChange::restart([
            ("tables.connections", connections == new.connections),
            ("tables.connections_ipv6", connections_ipv6 == new.connections_ipv6),
            ("tables.services", services == new.services),
            ("tables.destinations", destinations == new.destinations),
            ("tables.templates", templates == new.templates),
        ])
    }
}
