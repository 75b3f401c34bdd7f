//! The configuration as the daemon reads it: complete files, exact error messages, reloads.

#[path = "config/address_faults.rs"]
mod address_faults;
#[path = "config/examples.rs"]
mod examples;
#[path = "config/faults.rs"]
mod faults;
#[path = "config/network_faults.rs"]
mod network_faults;
#[path = "config/reload.rs"]
mod reload;
#[path = "config/robustness.rs"]
mod robustness;
#[path = "config/service_faults.rs"]
mod service_faults;
#[path = "config/unit.rs"]
mod unit;
