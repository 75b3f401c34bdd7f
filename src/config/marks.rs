//! Checks the rules of firewall marks: `[[mark]]`.

use super::network::{KnownPorts, NETWORK_FORM, interface_named};
use super::raw;
use super::report::Report;
use super::sections::Section;
use crate::model::{MarkRule, PortRange, Prefix, Protocol};

pub(super) const PROTOCOLS: [(&str, Protocol); 3] =
    [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];

/// Every `[[mark]]`, in order; the first that matches a packet decides.
pub(super) fn marks(
    sections: Vec<Section<raw::Mark>>,
    known: &KnownPorts,
    report: &mut Report,
) -> Vec<MarkRule> {
    const PORTS_FORM: &str = "a port as 80 or ports as 80-90, 0 to 65535";
    let mut rules = Vec::new();
    for Section { raw, .. } in sections {
        let network = str::parse::<Prefix>;
        let range = str::parse::<PortRange>;
        let rule = MarkRule {
            interface: raw
                .port
                .as_ref()
                .and_then(|name| interface_named(name, "mark.port", known, report)),
            protocol: report.word(&raw.protocol, "mark.protocol", &PROTOCOLS),
            source: report.text(&raw.source, "mark.source", NETWORK_FORM, network),
            destination: report.text(&raw.destination, "mark.destination", NETWORK_FORM, network),
            source_ports: report
                .text(&raw.source_ports, "mark.source_ports", PORTS_FORM, range)
                .unwrap_or_default(),
            destination_ports: report
                .text(&raw.destination_ports, "mark.destination_ports", PORTS_FORM, range)
                .unwrap_or_default(),
            mark: report.number_at(&raw.mark, "mark.mark", 0..=u32::MAX).unwrap_or_default(),
        };
        if let (Some(source), Some(destination)) = (rule.source, rule.destination)
            && source.address().is_ipv4() != destination.address().is_ipv4()
        {
            let offset = raw.source.as_ref().map_or(0, |field| field.span().start);
            let problem = format!("{source} and {destination} are of different families");
            report.fault(offset, "mark.source", problem);
        }
        rules.push(rule);
    }
    rules
}
