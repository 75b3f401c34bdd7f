//! ARP, neighbour discovery, and frames that wait for a next hop's address.

use super::TICK;
use crate::control::event::Event;
use crate::control::task::{Context, Task};
use crate::control::topology;
use crate::io::Frame;
use crate::packet::arp::{Arp, Operation};
use crate::packet::ethernet::ETHERNET;
use crate::packet::ndp;
use crate::reason::{Punt, PuntConsumer, PuntReason};
use crate::time::Instant;

pub(super) struct Neighbours;

/// The host asks for neighbours too, and joins groups, so its stack gets what it may wait for: answers of neighbours,
/// advertisements of routers, and questions for members of groups. The director answers everything else for it.
fn copy_to_host<F: Frame>(punt: &Punt<F>, context: &mut Context<'_, F>) {
    let Some(kernel) = &mut context.state.kernel else { return };
    let bytes = punt.frame.bytes();
    let is_waited_for = match punt.reason {
        PuntReason::Arp => bytes
            .get(ETHERNET..)
            .and_then(Arp::parse)
            .is_some_and(|arp| arp.operation == Operation::Reply),
        PuntReason::NeighbourDiscovery => ndp::tells_host(bytes),
        PuntReason::GroupMembership => true,
        _ => false,
    };
    if is_waited_for
        && kernel.has(punt.interface)
        && let Some(frame) = context.out.allocate(punt.interface)
    {
        kernel.copy(punt.interface, bytes, frame);
    }
}

impl<F: Frame> Task<F> for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn punts(&self) -> &'static [PuntConsumer] {
        &[PuntConsumer::Neighbours, PuntConsumer::Unresolved]
    }

    fn on_punt(&mut self, punt: Punt<F>, context: &mut Context<'_, F>) {
        copy_to_host(&punt, context);
        context.state.host.input(punt, context.now, &mut context.out);
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_, F>) {
        let state = &mut context.state;
        match *event {
            Event::StaticNeighboursChanged => {
                let neighbours = topology::static_neighbours(&state.config.neighbours);
                state.host.set_static_neighbours(&neighbours, context.now, &mut context.out);
                let addresses = neighbours.keys().map(|(_, address)| *address).collect();
                state.desired.set_static_neighbours(addresses);
            }
            Event::NextHopChanged { next_hop, is_wanted: true } => {
                state.host.want(next_hop, context.now, &mut context.out);
            }
            Event::NextHopChanged { next_hop, is_wanted: false } => state.host.unwant(next_hop),
            Event::NeighbourChanged { next_hop: (interface, address), mac } => {
                state.desired.neighbour_changed(interface, address, mac);
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        context.state.host.tick_neighbours(context.now, &mut context.out);
        Some(context.now + TICK)
    }
}
