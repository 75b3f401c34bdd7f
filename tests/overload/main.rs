//! The real worker and the real control thread over memory ports, with more to do than they can: established flows keep
//! their packets, memory stays bounded, what is lost is counted, and control answers.

mod device;
mod pool;
mod rig;
mod slow_path;
mod syn_flood;
mod two_workers;
