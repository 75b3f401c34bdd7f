//! The listings.

use super::{Reference, TcpState};
use crate::observation::{ConnectionView, DestinationView, Listing, ServiceView};
use director::model::Protocol;
use std::net::SocketAddr;

impl Reference {
    pub fn listing(&self) -> Listing {
        let services = self.services.iter().map(|service| ServiceView {
            key: service.spec.key,
            counters: service.statistics.shown(),
            destinations: service
                .destinations
                .iter()
                .map(|&number| self.destination_view(number))
                .collect(),
        });
        let mut connections: Vec<_> = self.connection_views().collect();
        connections.sort_by(|left, right| left.partial_cmp(right).expect("nothing is NaN"));
        Listing { services: services.collect(), connections, total: self.total.shown() }
    }

    fn destination_view(&self, number: usize) -> DestinationView {
        let destination = &self.destinations[number];
        let (active, inactive) = self.counts(number);
        let own = self.templates.iter().filter(|template| template.destination == number);
        DestinationView {
            at: destination.spec.at,
            weight: destination.spec.weight,
            active,
            inactive,
            persistent: own.count() as u32,
            counters: destination.statistics.shown(),
        }
    }

    fn connection_views(&self) -> impl Iterator<Item = ConnectionView> {
        let connections = self.connections.iter().map(|connection| ConnectionView {
            protocol: connection.protocol.name().to_owned(),
            client: connection.client,
            virtual_address: connection.virtual_address,
            destination: connection.server,
            state: match connection.protocol {
                Protocol::Tcp => TcpState::name(connection.state),
                _ => "UDP",
            }
            .to_owned(),
            remaining_ms: connection.started + connection.timeout_ms - self.now,
        });
        let templates = self.templates.iter().map(|template| ConnectionView {
            protocol: template.protocol.map_or("IP", Protocol::name).to_owned(),
            client: SocketAddr::new(template.client, 0),
            virtual_address: template.virtual_address,
            destination: SocketAddr::new(
                self.destinations[template.destination].spec.at.address,
                template.destination_port,
            ),
            state: if template.assured { "ASSURED" } else { "NONE" }.to_owned(),
            remaining_ms: template.ends(self.now) - self.now,
        });
        connections.chain(templates)
    }
}
