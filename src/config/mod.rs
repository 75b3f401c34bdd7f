//! Reads the configuration file: TOML text becomes a checked [`Config`], or a list of all faults, each with line, key and
//! allowed values.
//!
//! Each table has a file that implements [`ConfigTable`]: the keys, the check and the rule for reloads. The list `tables!`
//! names every table. `document` splits the text into tables, `known` has the values of earlier tables that later checks
//! need, `report` collects the faults, and `advice` has the warnings.

mod addresses;
mod advice;
mod destination;
mod devices;
mod director;
mod document;
mod dpdk;
mod fault;
mod known;
mod mark;
mod neighbour;
mod port;
mod report;
mod route;
mod service;
mod sysctl;
mod table;
mod tables;
mod tcp;
mod timeouts;

use crate::api::Command;
use document::Document;
use known::Known;
use report::Report;
use std::fs;
use std::path::Path;
use table::{ConfigTable, ReloadChange};

pub use director::{DirectorConfig, DirectorUpdate};
pub use dpdk::DpdkConfig;
pub use fault::{Fault, Faults};
pub use neighbour::NeighbourConfig;
pub use port::PortConfig;
pub use route::{RouteConfig, RouteHop};
pub use service::{ServiceChange, ServiceConfig, ServicesUpdate};
pub use tables::Tables;

/// Makes [`Config`], [`Reload`] and the functions that read and compare all tables from the list of tables.
macro_rules! tables {
    ($($field:ident: $table:ty,)*) => {
        /// A valid configuration.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            /// Name of the file, for messages.
            pub file: String,
            /// One sentence for each kind of thing that is allowed and has no effect.
            pub warnings: Vec<String>,
            $(pub $field: <$table as ConfigTable>::Checked,)*
        }

        /// The changes that a reload makes while the director runs. `None`: the table is the same in both files, so what
        /// ipvsadm or directorctl changed meanwhile stays.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Reload {
            $(pub $field: Option<<$table as ConfigTable>::Update>,)*
        }

        impl Config {
            /// The names of all tables, as the file spells them.
            pub const TABLES: &[&str] = &[$(<$table>::NAME),*];

            /// Reads every table, then checks every table, in the list's order.
            fn check(mut document: Document<'_>, file: &str, report: &mut Report<'_>) -> Self {
                $(let $field = <$table>::read(&mut document, report);)*
                document.refuse_others(Self::TABLES, report);
                let mut known = Known::new(report.count() == 0);
                Config {
                    file: file.to_owned(),
                    warnings: Vec::new(),
                    $($field: <$table>::check($field, &mut known, report),)*
                }
            }

            /// The changes of each table, and the changed keys that are read at start only.
            fn compare(&self, new: &Config) -> (Reload, Vec<String>) {
                let (mut reload, mut keys) = (Reload::default(), Vec::new());
                $(match <$table>::changed(&self.$field, &new.$field) {
                    ReloadChange::None => {}
                    ReloadChange::Live(update) => reload.$field = Some(update),
                    ReloadChange::Restart(more) => keys.extend(more),
                })*
                (reload, keys)
            }
        }
    };
}

// Every table of the file, and its field of `Config`. A table is checked after those that it refers to.
tables! {
    director: director::Director,
    dpdk: dpdk::Dpdk,
    tables: tables::TablesTable,
    timeouts: timeouts::TimeoutsTable,
    mss_clamp: tcp::Tcp,
    sysctls: sysctl::Sysctl,
    ports: port::Port,
    neighbours: neighbour::Neighbour,
    routes: route::Route,
    marks: mark::Mark,
    services: service::Service,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// All faults. If the file cannot be read: one fault with the reason.
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
        let document = Document::parse(text, &mut report);
        let config = Self::check(document, file, &mut report);
        match report.finish() {
            None => Ok(Config { warnings: advice::warnings(&config), ..config }),
            Some(faults) => Err(faults),
        }
    }

    /// The commands that make the services and destinations, in the file's order.
    pub fn commands(&self) -> Vec<Command> {
        self.services.iter().flat_map(ServiceConfig::commands).collect()
    }

    /// The changes that lead a director from `self` to `new`.
    ///
    /// # Errors
    /// The changed keys that are read at start only. Then nothing may be applied.
    pub fn changes(&self, new: &Config) -> Result<Reload, Faults> {
        let (reload, keys) = self.compare(new);
        let problem = "it changed, and is read at start only; restart directord or undo the change";
        let faults = keys.into_iter().map(|key| Fault {
            file: new.file.clone(),
            line: None,
            key,
            problem: problem.to_owned(),
            allowed: None,
        });
        match Faults::of(faults.collect()) {
            Some(faults) => Err(faults),
            None => Ok(reload),
        }
    }
}

impl Reload {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Reload::default()
    }
}
