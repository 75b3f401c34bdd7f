//! The configuration as the daemon meets it: whole files, their faults to the letter, reloads.

#[path = "config/examples.rs"]
mod examples;
#[path = "config/faults.rs"]
mod faults;
#[path = "config/reload.rs"]
mod reload;
#[path = "config/robustness.rs"]
mod robustness;
