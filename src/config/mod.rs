//! The configuration file: TOML text in, typed and checked settings out, or everything that is
//! wrong with it, each fault with line, key and what is allowed.
//!
//! The way of a file: `sections` cuts the text into the tables of `raw`; `process`, `network`,
//! `marks`, `services` and `destinations` check each table and its references to others, telling
//! `report` of faults; without faults the outcome is a [`Config`] (`settings`).
//! [`Config::changes`] says what a second reading of the file changes.

mod addresses;
mod changes;
mod destinations;
mod director;
mod endpoint;
mod fault;
mod marks;
mod network;
mod raw;
mod report;
mod sections;
mod services;
mod settings;

use crate::api::Command;
use crate::model::{MarkRule, MssClamp, Prefix, Sysctls, Timeouts, Unserved};
use log::LevelFilter;
use network::KnownPorts;
use report::Report;
use sections::Sections;
use std::fs;
use std::path::{Path, PathBuf};

pub use changes::{Reload, ServiceChange};
pub use fault::{Fault, Faults};
pub use settings::{
    DpdkConfig, NeighbourConfig, PortConfig, RouteConfig, RouteHop, ServiceConfig, Tables,
};

/// A valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from, as it is called in faults.
    pub file: String,
    /// Path of the control socket.
    pub socket: PathBuf,
    /// Local addresses besides those of ports and services.
    pub vips: Vec<Prefix>,
    pub unserved: Unserved,
    pub log: LevelFilter,
    pub dpdk: DpdkConfig,
    pub tables: Tables,
    /// At least one; indexed by [`PortId`](crate::model::PortId).
    pub ports: Vec<PortConfig>,
    pub neighbours: Vec<NeighbourConfig>,
    pub routes: Vec<RouteConfig>,
    pub timeouts: Timeouts,
    /// How large a maximum segment size SYNs may announce.
    pub mss_clamp: MssClamp,
    pub sysctls: Sysctls,
    pub marks: Vec<MarkRule>,
    pub services: Vec<ServiceConfig>,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// All faults, or the one that the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Faults::whole_file(&name, format!("cannot be read: {error}")))?;
        Self::parse(&text, &name)
    }

    /// Checks a text; `file` is its name in faults.
    ///
    /// # Errors
    /// All faults.
    pub fn parse(text: &str, file: &str) -> Result<Self, Faults> {
        let mut report = Report::new(file, text);
        let sections = Sections::read(text, &mut report);
        let config = Self::check(sections, file, &mut report);
        match report.finish() {
            None => Ok(config),
            Some(faults) => Err(faults),
        }
    }

    /// Checks table after table. What one table says is held against another only if the other
    /// has no faults: one mistake is told once.
    fn check(sections: Sections, file: &str, report: &mut Report) -> Self {
        let readable = report.count() == 0;
        let places = addresses::Places::of(&sections);
        let director = director::director(sections.director, report);
        let dpdk = director::dpdk(sections.dpdk, report);
        let tables = director::tables(sections.tables, report);
        let timeouts = director::timeouts(sections.timeouts, report);
        let mss_clamp = director::tcp(sections.tcp, report);
        let sysctls = director::sysctl(sections.sysctl, report);
        let process_sound = report.count() == 0;
        let ports = network::ports(sections.ports, process_sound.then_some(&dpdk), report);
        if readable && ports.is_empty() {
            report.fault_of_file("port", "no [[port]] is given; a director needs one or two");
        }
        let known = KnownPorts { ports: &ports, sound: process_sound && report.count() == 0 };
        let neighbours = network::neighbours(sections.neighbours, &known, report);
        let routes = network::routes(sections.routes, &known, report);
        let marks = marks::marks(sections.marks, &known, report);
        let services = services::services(sections.services, &known, report);
        if process_sound {
            services::fit(&services, &tables, report);
        }
        if report.count() == 0 {
            places.check(&ports, &routes, report);
        }
        Config {
            file: file.to_owned(),
            socket: director.socket,
            vips: director.vips,
            unserved: director.unserved,
            log: director.log,
            dpdk,
            tables,
            ports,
            neighbours,
            routes,
            timeouts,
            mss_clamp,
            sysctls,
            marks,
            services,
        }
    }

    /// The commands that make the services and destinations, in the file's order.
    pub fn commands(&self) -> Vec<Command> {
        changes::additions(&self.services)
    }
}
