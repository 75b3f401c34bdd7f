//! The subcommands of directorctl that change a running director.

use crate::api::Command;
use crate::model::{Endpoint, Overlay, OverlayKind, OverlayTarget, ServiceKey};
use clap::{Args, Subcommand};

// A doc comment here would become the first line of `directorctl --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Change {
    /// Gives a real server no new connections; its weight is 0 until undrain, also after a reload
    Drain(Server),
    /// Ends a drain; the real server has its weight again
    Undrain(Server),
}

/// The destinations that a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub struct Server {
    /// Address of the real server; with a port, only its destinations with this port
    #[arg(value_name = "ADDRESS[:PORT]")]
    at: Endpoint,
    /// Only its destination of this service [default: of every service]
    #[arg(long, value_name = "tcp:VIP:PORT|fwm:MARK")]
    service: Option<ServiceKey>,
}

impl Change {
    /// The command to send to the director.
    pub fn command(self) -> Command {
        match self {
            Change::Drain(server) => {
                Command::SetOverlay { target: server.target(), overlay: Overlay::Drain }
            }
            Change::Undrain(server) => {
                Command::ClearOverlay { target: server.target(), kind: OverlayKind::Drain }
            }
        }
    }
}

impl Server {
    fn target(self) -> OverlayTarget {
        let Endpoint { address, port } = self.at;
        OverlayTarget { address, port, service: self.service }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    fn change(line: &str) -> Result<Change, clap::Error> {
        let command = Change::augment_subcommands(clap::Command::new("directorctl"));
        Change::from_arg_matches(&command.try_get_matches_from(line.split(' '))?)
    }

    #[test]
    fn drain_and_undrain() {
        let target = |address: &str, port, service: Option<&str>| OverlayTarget {
            address: address.parse().unwrap(),
            port,
            service: service.map(|text| text.parse().unwrap()),
        };
        for (line, expected) in [
            ("192.168.10.11", target("192.168.10.11", None, None)),
            ("192.168.10.11:80", target("192.168.10.11", Some(80), None)),
            ("fd00::11", target("fd00::11", None, None)),
            ("[fd00::11]", target("fd00::11", None, None)),
            (
                "[fd00::11]:80 --service udp:[fd00::100]:53",
                target("fd00::11", Some(80), Some("udp:[fd00::100]:53")),
            ),
            ("192.168.10.11 --service fwm:7", target("192.168.10.11", None, Some("fwm:7"))),
        ] {
            let drain = change(&format!("directorctl drain {line}")).unwrap().command();
            assert_eq!(drain, Command::SetOverlay { target: expected, overlay: Overlay::Drain });
            let undrain = change(&format!("directorctl undrain {line}")).unwrap().command();
            let kind = OverlayKind::Drain;
            assert_eq!(undrain, Command::ClearOverlay { target: expected, kind });
        }
        for wrong in ["", " server1", " 192.168.10.11:", " 192.168.10.11 --service 10.0.0.100:80"] {
            assert!(change(&format!("directorctl drain{wrong}")).is_err(), "{wrong}");
        }
    }
}
