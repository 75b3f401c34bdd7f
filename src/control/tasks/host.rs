//! The director as a host: echo, ICMP errors, resets, path MTUs, and the reassembly of what was sent to it.

use super::TICK;
use crate::control::task::{Context, Task};
use crate::host::PathMtu;
use crate::io::Frame;
use crate::reason::{Punt, PuntConsumer, PuntDetail};
use crate::time::Instant;

pub(super) struct Host;

impl<F: Frame> Task<F> for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn punts(&self) -> &'static [PuntConsumer] {
        &[PuntConsumer::Host]
    }

    fn on_punt(&mut self, mut punt: Punt<F>, context: &mut Context<'_, F>) {
        learn_path_mtu(&mut punt, context);
        context.state.host.input(punt, context.now, &mut context.out);
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        context.state.host.expire_fragments(context.now);
        Some(context.now + TICK)
    }
}

/// Uses the path MTU that an error about a tunnel packet reports, and adds the MTU that the client is told.
fn learn_path_mtu<F: Frame>(punt: &mut Punt<F>, context: &mut Context<'_, F>) {
    let (now, state) = (context.now, &mut context.state);
    let Some(PathMtu { destination, mtu }) = state.host.reported_path_mtu(punt) else { return };
    if let PuntDetail::Destination(id) = punt.detail {
        let told = state.desired.tunnel_mtu_learned(id, destination, mtu, now);
        punt.detail = PuntDetail::Mtu(told);
    }
}
