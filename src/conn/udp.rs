//! UDP has one state; every packet restarts the timer.

/// Timeout in seconds, the third value of `ipvsadm --set`.
pub(crate) const TIMEOUT_S: u32 = 300;

/// Name of the state in listings.
pub(crate) const STATE_NAME: &str = "UDP";

/// The only state.
pub(crate) const STATE: u8 = 0;
