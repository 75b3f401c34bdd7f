//! The host's interfaces: they have the director's addresses, and the director answers for those that others add there.

use super::TICK;
use crate::control::event::Event;
use crate::control::state::State;
use crate::control::task::{Context, Task};
use crate::control::topology;
use crate::io::Frame;
use crate::kernel_port::{HostReport, HostRequest, KernelLink};
use crate::time::Instant;

pub(super) struct KernelInterfaces;

impl<F: Frame> Task<F> for KernelInterfaces {
    fn name(&self) -> &'static str {
        "kernel interfaces"
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_, F>) {
        let state = &context.state;
        let Some(link) = &state.kernel else { return };
        match *event {
            Event::NetworksChanged => ask_for_networks(link, state),
            Event::VipChanged { address, is_active: is_present } => {
                link.ask(HostRequest::VirtualAddress { address, is_present });
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, context: &mut Context<'_, F>) -> Option<Instant> {
        let state = &mut context.state;
        state.kernel.as_ref()?;
        let mut is_changed = false;
        while let Some(report) = state.kernel.as_ref().and_then(KernelLink::report) {
            is_changed |= note(state, &report);
        }
        if is_changed {
            state.host_addresses_changed();
        }
        Some(context.now + TICK)
    }
}

/// Asks for the addresses and routes of the configuration.
fn ask_for_networks<F: Frame>(link: &KernelLink<F>, state: &State<F>) {
    for (kernel, _) in link.interfaces() {
        let Some(port) = state.config.ports.get(kernel.interface.index()) else { continue };
        let own = port.addresses.iter();
        let addresses = own.map(|address| (address.address(), address.length())).collect();
        link.ask(HostRequest::Addresses { interface: kernel.interface, addresses });
    }
    let routes = topology::routers(&state.config.ports, &state.config.routes);
    let routes = routes.into_iter().filter(|(_, interface, _)| link.has(*interface));
    link.ask(HostRequest::Routes(routes.collect()));
}

/// True if the director's addresses have changed.
fn note<F: Frame>(state: &mut State<F>, report: &HostReport) -> bool {
    match *report {
        HostReport::AddressAdded { interface, address, length } => {
            log::info!(
                "the host has {address}/{length} on {}: answered from now on",
                state.name_of(interface)
            );
            state.host_addresses.insert((interface, address, length))
        }
        HostReport::AddressRemoved { interface, address, length } => {
            log::info!("the host has {address}/{length} on {} no longer", state.name_of(interface));
            state.host_addresses.remove(&(interface, address, length))
        }
    }
}
