//! The real worker and the real control thread over memory ports, overloaded: established flows lose no packets, memory
//! is bounded, drops are counted, and control answers queries.

mod device;
mod host;
mod neighbours;
mod pool;
mod reload;
mod stuck;
mod syn_flood;
mod testbed;
mod two_workers;
