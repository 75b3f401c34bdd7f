//! The control thread: desired state, ARP and neighbour discovery, ICMP, statistics.

pub mod defence;
pub mod desired;
pub mod estimator;
pub mod ledgers;
pub mod listing;
pub mod slow_path;
