//! The configuration file read again, on a thread that may wait for a file system.

use super::topology;
use crate::api::Command;
use crate::config::{Config, Faults, Reload, ServiceChange, ServicesUpdate};
use crate::model::ServiceKey;
use crate::route::Routes;
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// The file as it was read again, and what it changes.
#[derive(Debug)]
pub struct Reread {
    pub(super) changes: Reload,
    /// For services and destinations.
    pub(super) steps: VecDeque<ReloadStep>,
    /// If they may have changed.
    pub(super) routes: Option<Arc<Routes>>,
    pub(super) config: Arc<Config>,
}

/// Reads the configuration file again, on a thread that may wait for the disk.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    /// As it was read last without faults: what the control thread follows.
    current: Arc<Config>,
    /// As it was before. It is kept so that the control thread does not spend its time on freeing it.
    previous: Option<Arc<Config>>,
}

impl Reloader {
    pub fn new(path: PathBuf, current: Arc<Config>) -> Self {
        Reloader { path, current, previous: None }
    }

    /// Reads the file and compares it with what was read before.
    ///
    /// # Errors
    /// The faults of the file, or what it may not change while the director runs. The next reading is compared with the
    /// same file as this one then.
    pub fn reread(&mut self) -> Result<Reread, Faults> {
        self.compare(Config::load(&self.path)?)
    }

    /// Compares a file with the one before.
    pub(super) fn compare(&mut self, new: Config) -> Result<Reread, Faults> {
        let mut changes = self.current.changes(&new)?;
        let is_network_changed = changes.ports.is_some() || changes.routes.is_some();
        let routes =
            is_network_changed.then(|| Arc::new(topology::routes(&new.ports, &new.routes)));
        let mut steps = VecDeque::new();
        if let Some(ServicesUpdate { deletions, changes }) = changes.services.take() {
            steps.extend(deletions.into_iter().map(ReloadStep::Delete));
            steps.extend(changes.into_iter().map(ReloadStep::Follow));
        }
        steps.push_back(ReloadStep::FindDrift(DriftScan::default()));
        let new = Arc::new(new);
        self.previous = Some(std::mem::replace(&mut self.current, Arc::clone(&new)));
        Ok(Reread { changes, steps, routes, config: new })
    }
}

/// One step of a reload.
#[derive(Debug)]
pub(super) enum ReloadStep {
    Delete(Command),
    Follow(ServiceChange),
    Apply(Command),
    FindDrift(DriftScan),
}

/// The search for differences between file and running table: the services of the file first, then the running ones, then the
/// settings.
#[derive(Debug, Default)]
pub(super) struct DriftScan {
    /// Index of the service in the file that is next.
    pub(super) service: usize,
    /// Services of the file so far.
    pub(super) named: HashSet<ServiceKey>,
    /// Number of the running service that was looked at last.
    pub(super) before: Option<u64>,
    pub(super) differences: usize,
}
