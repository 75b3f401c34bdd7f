//! Multicast groups: reports of membership to the links, and what workers know of it.

use super::TICK;
use crate::control::event::Event;
use crate::control::task::{Context, Task};
use crate::io::Frame;
use crate::time::Instant;

pub(super) struct Groups;

impl<F: Frame> Task<F> for Groups {
    fn name(&self) -> &'static str {
        "groups"
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_, F>) {
        match *event {
            // A virtual address may need a group.
            Event::VipChanged { .. } => context.wake(),
            Event::MembershipChanged { interface, group, is_member } => {
                context.state.desired.membership_changed(interface, group, is_member);
            }
            _ => {}
        }
    }

    /// Questions make reports due too; they come as punts, which the neighbours' task takes.
    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        context.state.host.send_reports(context.now, &mut context.out);
        Some(context.now + TICK)
    }
}
