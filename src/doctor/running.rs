//! What a running director finds: links, neighbours, warnings.

use super::{Finding, Severity};
use crate::query::{NeighbourRow, PortRow, StatusReport};

/// Answers of a running director.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    pub status: Vec<StatusReport>,
    pub ports: Vec<PortRow>,
    pub neighbours: Vec<NeighbourRow>,
}

/// The findings in these answers.
pub fn running(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, check, problem, mend: &str| {
        findings.push(Finding { severity, check, problem, mend: mend.to_owned() });
    };
    for port in answers.ports.iter().filter(|port| !port.link_up) {
        add(
            Severity::Error,
            "link",
            format!("port {} has no link", port.name),
            "check the cable, the switch port and the module; directorctl ports shows the link",
        );
    }
    for neighbour in answers.neighbours.iter().filter(|row| row.state == "failed") {
        add(
            Severity::Error,
            "neighbours",
            format!("{} does not answer on {}", neighbour.address, neighbour.port),
            "check the host, its address and its network mask; directorctl neighbours shows the state",
        );
    }
    for warning in answers.status.iter().flat_map(|status| &status.warnings) {
        add(Severity::Warning, "status", warning.clone(), "directorctl status");
    }
    findings
}
