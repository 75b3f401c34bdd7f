//! Tells the links of the director's addresses: new virtual ones, and the interfaces' own at the start and
//! after a reload.

use crate::control::event::Event;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::{Duration, Instant};

/// A part of the announcements goes out at a time, so that they leave room in the rings to the workers.
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Announcements;

impl<F: Frame> Task<F> for Announcements {
    fn name(&self) -> &'static str {
        "announcements"
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_, F>) {
        let (now, host) = (context.now, &mut context.state.host);
        match *event {
            Event::VipChanged { address, is_active } => {
                host.set_virtual_address(address, is_active, now);
                context.wake();
            }
            Event::NetworksChanged => {
                host.announce(now, &mut context.out);
                context.wake();
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let (now, host) = (context.now, &mut context.state.host);
        host.send_announcements(now, &mut context.out);
        host.next_announcement().map(|next| next.max(now + INTERVAL))
    }
}
