//! The safe wrapper of DPDK: one EAL, its lcores, mempools, mbufs, ports and queues.
//!
//! Every call into DPDK is here. A value keeps alive what it depends on: a [`PortQueue`] its [`Port`], a port its
//! mempools, all of them the [`Eal`]. Nothing can be used after it was closed, and the last one to go cleans up.

mod by_client;
mod cycles;
mod device;
mod eal;
mod error;
mod interface;
mod keying;
mod lcore;
mod mbuf;
mod mempool;
mod options;
mod port;
mod queue;
mod rss;
mod setup;
mod statistics;

pub use by_client::ByClient;
pub use cycles::{cycles, cycles_per_second};
pub use device::Device;
pub use eal::Eal;
pub use error::{Errno, Error};
pub use interface::is_running;
pub use lcore::{Lcore, LcoreTask};
pub use mbuf::Mbuf;
pub use mempool::{DATA_ROOM, Mempool};
pub use options::EalOptions;
pub use port::{Link, Port};
pub use queue::PortQueue;
pub use rss::{Rss, RssFunctions};
pub use setup::PortSettings;
pub use statistics::PortStatistics;

/// What DPDK answered, or why it did not.
pub type Result<T> = std::result::Result<T, Error>;
