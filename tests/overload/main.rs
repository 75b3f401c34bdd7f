//! The real worker and the real control thread over memory ports, with more to do than they can: established flows keep
//! their packets, memory stays bounded, what is lost is counted, and control answers.

mod device;
mod host;
mod neighbours;
mod pool;
mod syn_flood;
mod testbed;
mod two_workers;
