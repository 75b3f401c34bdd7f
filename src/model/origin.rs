//! Who asks for a change of the desired state.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A person or a script, by ipvsadm or directorctl.
    #[default]
    Operator,
    /// The configuration file.
    File,
    /// The health checks of real servers.
    Health,
    /// A change of the VRRP state.
    Vrrp,
    /// Another director, by connection synchronisation.
    Sync,
    /// The import of another director's configuration.
    Import,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Origin::Operator => "operator",
            Origin::File => "file",
            Origin::Health => "health",
            Origin::Vrrp => "vrrp",
            Origin::Sync => "sync",
            Origin::Import => "import",
        })
    }
}
