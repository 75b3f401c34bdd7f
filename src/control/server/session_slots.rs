//! The slots for sessions: clients beyond the last one wait, and idle sessions free theirs.

use crate::limits::SESSIONS;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A session without a request ends after this time.
const IDLE: Duration = Duration::from_secs(60);
/// A request is complete this long after its first byte, or the session ends. The tools write a request at once, and
/// the longest takes less than a second.
const REQUEST: Duration = Duration::from_secs(10);
/// Both times while other clients wait for a place.
const WHEN_FULL: Duration = Duration::from_secs(1);
/// Shortest time between two log lines about waiting clients.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The slots for sessions.
#[derive(Debug, Default)]
pub(super) struct SessionSlots {
    state: Mutex<SlotsState>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct SlotsState {
    taken: usize,
    waiting: bool,
    logged: Option<Instant>,
}

/// One session's slot, given back when the session ends.
pub(super) struct SessionSlot(Arc<SessionSlots>);

impl SessionSlots {
    /// Waits for a slot.
    pub(super) fn take(self: &Arc<Self>) -> SessionSlot {
        let mut state = self.state.lock();
        if state.taken >= SESSIONS {
            state.waiting = true;
            let now = Instant::now();
            if state.logged.is_none_or(|last| now - last >= LOG_INTERVAL) {
                state.logged = Some(now);
                log::warn!(
                    "control socket: {SESSIONS} sessions are open, which is the limit; further clients wait, and idle sessions end"
                );
            }
            self.ended.wait_while(&mut state, |state| state.taken >= SESSIONS);
            state.waiting = false;
        }
        state.taken += 1;
        SessionSlot(Arc::clone(self))
    }

    fn unless_full(&self, time: Duration) -> Duration {
        if self.state.lock().waiting { WHEN_FULL } else { time }
    }
}

impl SessionSlot {
    /// How long the session may be idle now.
    pub(super) fn idle(&self) -> Duration {
        self.0.unless_full(IDLE)
    }

    /// How long a request may take now, from its first byte to its end.
    pub(super) fn request(&self) -> Duration {
        self.0.unless_full(REQUEST)
    }
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        self.0.state.lock().taken -= 1;
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;
    use std::thread;

    #[test]
    fn a_client_that_waits_for_a_place_is_logged_once_a_minute() {
        let places: Arc<SessionSlots> = Arc::default();
        let mut taken: Vec<SessionSlot> = Vec::new();
        let lines = logged(|| taken.extend((0..SESSIONS).map(|_| places.take())));
        assert!(lines.is_empty(), "{lines:?}");
        let mut wait = || {
            let client = Arc::clone(&places);
            let waiting = thread::spawn(move || {
                let mut place = None;
                (logged(|| place = Some(client.take())), place)
            });
            while !places.state.lock().waiting {
                thread::yield_now();
            }
            taken.pop();
            let (lines, place) = waiting.join().unwrap();
            taken.extend(place);
            lines
        };
        let expected = "warn: control socket: 32 sessions are open, which is the limit; further clients wait, and idle sessions end";
        assert_eq!(wait(), [expected]);
        assert!(wait().is_empty(), "less than a minute has passed");
    }
}
