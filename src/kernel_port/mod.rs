//! Kernel interfaces: the host's own stack on the director's ports.
//!
//! A kernel interface is a TAP device of the host with the MAC address, MTU and addresses of the director's interface. What no
//! service, connection or answer of the director takes goes to it: ssh, BGP, DNS answers. What the host sends leaves by the
//! port as it is, because the host has its own neighbours and has written the link header. The director answers all ARP and
//! neighbour discovery; the host gets copies of the answers, because it may have asked.
//!
//! * `thread`: the kernel-port thread
//! * `pump`: moves frames between the workers and the devices; `tap` is such a device
//! * `netlink`: addresses and links of the host; `monitor`: what others change there
//! * `link`: the control thread's end
//! * `settings`, `error`: what is to be made, and why it cannot be
//!
//! The thread never waits for a worker, and no worker waits for it: a full ring or device is a counted drop.

mod error;
mod link;
mod monitor;
mod netlink;
mod pump;
mod settings;
mod tap;
mod thread;

pub use error::KernelPortError;
pub use link::{HostReport, HostRequest, KernelLink};
pub use pump::HostCounters;
pub use settings::KernelInterface;
pub use thread::{KernelPort, Machine};
