//! The nouns that all modules share: services, destinations, schedulers, forwarding methods.
//! Plain data that parses, prints and serialises; no behaviour.

mod destination;
mod endpoint;
mod forward_method;
mod ids;
mod interface;
mod mac_address;
mod machine;
mod mark_rule;
mod mss_clamp;
mod origin;
mod overlay;
mod prefix;
mod protocol;
mod rows;
mod scheduler_kind;
mod service;
mod side;
mod sysctl;
mod timeouts;
mod unserved;

pub use destination::{DestinationAddress, DestinationSpec, Tunnel, TunnelChecksum, TunnelKind};
pub use endpoint::Endpoint;
pub use forward_method::{ForwardMethod, ReplySource};
pub use ids::{DestinationId, IngressId, InterfaceId, PortId, ServiceId, WorkerId};
pub use interface::Interface;
pub use mac_address::{BadMacAddress, MacAddress};
pub use machine::{cpu_list, kernel_interface, pci_address, vdev_name};
pub use mark_rule::{BadPortRange, MarkRule, PortRange};
pub use mss_clamp::MssClamp;
pub use origin::Origin;
pub use overlay::{Effective, Overlay, OverlayKind, OverlayTarget, OwnedOverlay};
pub use prefix::{BadPrefix, InterfaceAddress, LinkAddress, Prefix, is_reserved};
pub use protocol::{Family, Protocol};
pub use rows::{ConnectionRow, Counters, DestinationRow, Rates, ServiceRow};
pub use scheduler_kind::{SchedulerFlags, SchedulerKind, UnknownScheduler};
pub use service::{Persistence, PersistenceMask, ServiceKey, ServiceSpec};
pub use side::PortSide;
pub use sysctl::{SysctlError, SysctlValue, Sysctls};
pub use timeouts::Timeouts;
pub use unserved::Unserved;
