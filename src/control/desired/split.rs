//! Commands about many services, as commands about one service each.

use super::Desired;
use crate::api::Command;
use crate::model::{DestinationId, OverlayTarget, ServiceKey};

impl Desired {
    /// The parts of a command about many services, each about one. Together with [`Self::complete`] they do what the
    /// command does. Empty if there is nothing to split.
    pub fn split(&self, command: &Command) -> Vec<Command> {
        match command {
            Command::Flush => self.newest_first().map(Command::DeleteService).collect(),
            Command::Zero(None) => self.newest_first().map(Some).map(Command::Zero).collect(),
            Command::SetOverlay { target, overlay } => {
                let of_service = |target| Command::SetOverlay { target, overlay: *overlay };
                self.split_target(target).into_iter().map(of_service).collect()
            }
            Command::ClearOverlay { target, kind } => {
                let of_service = |target| Command::ClearOverlay { target, kind: *kind };
                self.split_target(target).into_iter().map(of_service).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What is left of a command after its parts.
    pub fn complete(&mut self, command: &Command) {
        if *command == Command::Zero(None) {
            self.zero_total();
        }
    }

    fn newest_first(&self) -> impl Iterator<Item = ServiceKey> {
        self.services_before(None).map(|(_, _, spec)| spec.key)
    }

    /// One target for each service that has listed destinations of the target.
    fn split_target(&self, target: &OverlayTarget) -> Vec<OverlayTarget> {
        if target.service.is_some() {
            return Vec::new();
        }
        let key = |id: DestinationId| {
            let row = self.row(id)?;
            let is_meant = target.port.is_none_or(|port| port == row.spec.at.port);
            (row.is_listed && is_meant).then_some(row.key)
        };
        let mut keys: Vec<ServiceKey> =
            self.destinations_at(target.address).filter_map(key).collect();
        // Ports of one server in one service may be many.
        keys.dedup();
        keys.into_iter().map(|key| OverlayTarget { service: Some(key), ..*target }).collect()
    }
}
