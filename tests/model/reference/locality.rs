//! lblc and lblcr: the servers stored for each destination address. A run is shorter than the day after which entries
//! expire.

use super::Reference;
use crate::step::Packet;
use director::model::DestinationAddress;

impl Reference {
    /// lblc: the server stored for the address, as long as it is suitable.
    pub(super) fn by_locality(&mut self, service: usize, packet: &Packet) -> Option<usize> {
        let list = self.services[service].destinations.clone();
        let address = packet.destination.ip();
        let known = self.services[service].localities.get(&address);
        let known = known.and_then(|servers| self.destination(service, &servers[0]));
        let will_do = |number: &usize| {
            self.destinations[*number].spec.weight > 0 && !self.is_busy(*number, &list)
        };
        if let Some(number) = known.filter(will_do) {
            return Some(number);
        }
        let picked = self.cheapest(&list, |number| self.overhead(number))?;
        let at = self.destinations[picked].spec.at;
        self.services[service].localities.insert(address, vec![at]);
        Some(picked)
    }

    /// lblcr: the least loaded server stored for the address, as long as it is suitable.
    pub(super) fn by_replicated_locality(
        &mut self,
        service: usize,
        packet: &Packet,
    ) -> Option<usize> {
        let list = self.services[service].destinations.clone();
        let address = packet.destination.ip();
        let servers = self.services[service].localities.get(&address).cloned().unwrap_or_default();
        let listed = |at: &DestinationAddress| self.destination(service, at);
        let members: Vec<usize> = servers.iter().filter_map(listed).collect();
        let least = self.cheapest(&members, |number| self.overhead(number));
        if let Some(number) = least.filter(|number| !self.is_busy(*number, &list)) {
            return Some(number);
        }
        let picked = self.cheapest(&list, |number| self.overhead(number))?;
        let at = self.destinations[picked].spec.at;
        if !servers.contains(&at) {
            // Newest first.
            self.services[service].localities.entry(address).or_default().insert(0, at);
        }
        Some(picked)
    }

    /// Overloaded: more active connections than its weight, while another server has less than half of its weight.
    fn is_busy(&self, number: usize, list: &[usize]) -> bool {
        let weight = |number: usize| u64::from(self.weight(number));
        self.active(number) > weight(number)
            && list.iter().any(|&other| self.active(other) * 2 < weight(other))
    }
}
