//! The configuration file read again, on a thread that may wait for a file system.

use crate::api::Command;
use crate::config::{Config, Faults, Reload, ServiceChange};
use std::path::PathBuf;
use std::sync::Arc;

/// The file as it was read again, and what it changes.
#[derive(Debug)]
pub struct Reread {
    pub(super) changes: Reload,
    pub(super) config: Arc<Config>,
}

/// Reads the configuration file again, on a thread that may wait for the disk.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    /// As it was read last without faults: what the control thread follows.
    current: Arc<Config>,
}

impl Reloader {
    pub fn new(path: PathBuf, current: Arc<Config>) -> Self {
        Reloader { path, current }
    }

    /// Reads the file and compares it with what was read before.
    ///
    /// # Errors
    /// The faults of the file, or what it may not change while the director runs. The next reading is compared with the
    /// same file as this one then.
    pub fn reread(&mut self) -> Result<Reread, Faults> {
        let new = Config::load(&self.path)?;
        let changes = self.current.changes(&new)?;
        self.current = Arc::new(new);
        Ok(Reread { changes, config: Arc::clone(&self.current) })
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

/// The search for differences between file and running table.
#[derive(Debug, Default)]
pub(super) struct DriftScan {
    /// Index of the service in the file that is next.
    pub(super) service: usize,
    pub(super) differences: usize,
}
