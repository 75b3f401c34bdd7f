//! The control thread: desired state, ARP and neighbour discovery, ICMP, statistics.

pub mod slow_path;
