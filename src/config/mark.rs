//! `[[mark]]`: the rules of firewall marks.

use super::document::{Document, Section};
use super::known::{Known, NETWORK_FORM, PROTOCOLS};
use super::port::interface_named;
use super::report::{Field, Report};
use super::table::{ConfigTable, ReloadChange};
use crate::model::{MarkRule, PortRange, Prefix};
use crate::snapshot::{self, Marks};
use serde::Deserialize;
use toml::Spanned;

/// `[[mark]]`, in order; the first that matches a packet decides.
pub struct Mark;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    port: Field<String>,
    protocol: Field<String>,
    source: Field<String>,
    destination: Field<String>,
    source_ports: Field<String>,
    destination_ports: Field<String>,
    mark: Spanned<i64>,
}

impl ConfigTable for Mark {
    const NAME: &'static str = "mark";
    type Raw = Vec<Section<Raw>>;
    type Checked = Vec<MarkRule>;
    type Update = Vec<MarkRule>;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw {
        document.several(Self::NAME, report)
    }

    fn check(sections: Self::Raw, known: &mut Known, report: &mut Report<'_>) -> Vec<MarkRule> {
        const PORTS_FORM: &str = "a port as 80 or ports as 80-90, 0 to 65535";
        let mut rules = Vec::new();
        let mut offsets = Vec::new();
        for Section { raw, offset } in sections {
            offsets.push(offset);
            let network = str::parse::<Prefix>;
            let range = str::parse::<PortRange>;
            let rule = MarkRule {
                interface: raw
                    .port
                    .as_ref()
                    .and_then(|name| interface_named(known, name, "mark.port", report)),
                protocol: report.word(&raw.protocol, "mark.protocol", &PROTOCOLS),
                source: report.text(&raw.source, "mark.source", NETWORK_FORM, network),
                destination: report.text(
                    &raw.destination,
                    "mark.destination",
                    NETWORK_FORM,
                    network,
                ),
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
        let indexed: Vec<_> = rules.iter().map(snapshot::Mark::from).collect();
        if let Some((position, problem)) = Marks::unindexed(&indexed) {
            let offset = offsets.get(position).copied().unwrap_or_default();
            report.fault(offset, Self::NAME, problem);
        }
        rules
    }

    fn changed(old: &Vec<MarkRule>, new: &Vec<MarkRule>) -> ReloadChange<Self::Update> {
        ReloadChange::live(old, new)
    }
}
