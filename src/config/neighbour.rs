//! `[[neighbour]]`: neighbours that need not be resolved.

use super::document::{Document, Section};
use super::known::{Known, ip};
use super::port::{interface_named, ports, unfit_neighbour};
use super::report::Report;
use super::table::{ConfigTable, ReloadChange};
use crate::model::{InterfaceId, MacAddress};
use serde::Deserialize;
use std::net::IpAddr;
use toml::Spanned;

const MAC_FORM: &str = "a unicast address as 02:00:00:00:00:01";

/// A neighbour that need not be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourConfig {
    pub interface: InterfaceId,
    pub address: IpAddr,
    pub mac: MacAddress,
}

/// `[[neighbour]]`.
pub struct Neighbour;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    port: Spanned<String>,
    address: Spanned<String>,
    mac: Spanned<String>,
}

impl ConfigTable for Neighbour {
    const NAME: &'static str = "neighbour";
    type Raw = Vec<Section<Raw>>;
    type Checked = Vec<NeighbourConfig>;
    type Update = Vec<NeighbourConfig>;

    fn read(document: &mut Document<'_>, report: &mut Report<'_>) -> Self::Raw {
        document.several(Self::NAME, report)
    }

    fn check(
        sections: Self::Raw,
        known: &mut Known,
        report: &mut Report<'_>,
    ) -> Vec<NeighbourConfig> {
        let mut neighbours: Vec<NeighbourConfig> = Vec::new();
        for Section { raw, .. } in sections {
            let interface = interface_named(known, &raw.port, "neighbour.port", report);
            let address = report.text_at(&raw.address, "neighbour.address", "an address", ip);
            let mac = report.text_at(&raw.mac, "neighbour.mac", MAC_FORM, |text| match text
                .parse::<MacAddress>(
            ) {
                Ok(mac) if mac.is_unicast() => Ok(mac),
                Ok(mac) => Err(format!("{mac} is not unicast")),
                Err(_) => Err(format!("`{}` is not an Ethernet address", text.escape_debug())),
            });
            let (Some(interface), Some(address), Some(mac)) = (interface, address, mac) else {
                continue;
            };
            let offset = raw.address.span().start;
            let unfit = unfit_neighbour(address, &ports(known)[interface.index()]);
            if let Some(problem) = unfit.filter(|_| known.are_ports_sound) {
                report.fault(offset, "neighbour.address", problem);
            } else if neighbours
                .iter()
                .any(|other| (other.interface, other.address) == (interface, address))
            {
                report.fault(offset, "neighbour.address", format!("a second neighbour {address}"));
            }
            neighbours.push(NeighbourConfig { interface, address, mac });
        }
        known.keep(neighbours.clone());
        neighbours
    }

    fn changed(
        old: &Vec<NeighbourConfig>,
        new: &Vec<NeighbourConfig>,
    ) -> ReloadChange<Self::Update> {
        ReloadChange::live(old, new)
    }
}
