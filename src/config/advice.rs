//! Warnings about a valid configuration: rules without effect, and servers that no packet reaches.

use super::Config;
use crate::model::{Family, MarkRule, Prefix, ServiceKey, Unserved};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::net::IpAddr;

/// Names in one warning; further ones are counted.
const NAMED: usize = 4;

/// One sentence for each kind of thing that is allowed and has no effect, or leads nowhere.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    [unmarked(config), unserved(config), unreachable(config), host(config)]
        .into_iter()
        .flatten()
        .collect()
}

/// Services for firewall marks that no rule gives.
fn unmarked(config: &Config) -> Option<String> {
    let given: HashSet<(u32, Option<Family>)> =
        config.marks.iter().map(|rule| (rule.mark, rule.family())).collect();
    let services =
        config.services.iter().map(|service| service.spec.key).filter(|key| match *key {
            ServiceKey::Fwmark { mark, family } => {
                !given.contains(&(mark, None)) && !given.contains(&(mark, Some(family)))
            }
            ServiceKey::Address { .. } => false,
        });
    Some(format!("no [[mark]] rule gives packets to {}", listed(services)?))
}

/// Marks that no service takes.
fn unserved(config: &Config) -> Option<String> {
    let keys = config.services.iter().map(|service| service.spec.key);
    let served: HashSet<(u32, Family)> = keys
        .filter_map(|key| match key {
            ServiceKey::Fwmark { mark, family } => Some((mark, family)),
            ServiceKey::Address { .. } => None,
        })
        .collect();
    let is_served = |rule: &&MarkRule| {
        let families = [Family::Ipv4, Family::Ipv6];
        let mut possible =
            families.iter().filter(|one| rule.family().is_none_or(|only| only == **one));
        possible.any(|family| served.contains(&(rule.mark, *family)))
    };
    // Mark 0 is an exception to later rules.
    let rules = config.marks.iter().filter(|rule| rule.mark != 0 && !is_served(rule));
    let marks: BTreeSet<u32> = rules.map(|rule| rule.mark).collect();
    Some(format!("no [[service]] takes packets with the firewall mark {}", listed(marks)?))
}

/// The host's stack is to have what it cannot get, or cannot have what it needs.
fn host(config: &Config) -> Option<String> {
    let has_kernel = config.ports.iter().any(|port| port.kernel.is_some());
    match (config.director.unserved, has_kernel) {
        (Some(Unserved::Kernel), false) => {
            Some("director.unserved is `kernel`, but no port has `kernel = true`".to_owned())
        }
        (Some(Unserved::Reject | Unserved::Drop), true) => Some(
            "director.unserved refuses what the host waits for: its kernel interfaces only send"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Real servers without a route.
fn unreachable(config: &Config) -> Option<String> {
    let destinations = config.services.iter().flat_map(|service| &service.destinations);
    let addresses = destinations.map(|to| to.at.address);
    let lost: BTreeSet<IpAddr> =
        addresses.filter(|at| !at.is_loopback() && !has_route(config, *at)).collect();
    Some(format!(
        "no route leads to server {}: a network of a port, a [[route]] or a gateway must cover it",
        listed(lost)?
    ))
}

/// A port's network, a route or a gateway covers the address.
fn has_route(config: &Config, address: IpAddr) -> bool {
    let covers = |network: &Prefix| network.contains(address);
    config.routes.iter().any(|route| covers(&route.destination))
        || config.ports.iter().any(|port| {
            port.is_on_link(address)
                || match address {
                    IpAddr::V4(_) => port.gateway.is_some(),
                    IpAddr::V6(_) => port.gateway_ipv6.is_some(),
                }
        })
}

/// The first names, and the number of the others. `None` if there are none.
fn listed<T: Display>(names: impl IntoIterator<Item = T>) -> Option<String> {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(NAMED).map(|name| name.to_string()).collect();
    let text = first.join(", ");
    match names.count() {
        0 => (!first.is_empty()).then_some(text),
        more => Some(format!("{text} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str =
        "[[port]]\nname = \"a\"\ndevice = \"0000:01:00.0\"\naddresses = [\"10.0.0.1/24\"]\n";

    #[track_caller]
    fn warnings(text: &str) -> Vec<String> {
        let config = Config::parse(&format!("{PORT}{text}"), "f");
        config.unwrap_or_else(|faults| panic!("{faults}")).warnings
    }

    #[test]
    fn marks_and_services_belong_together() {
        let mark = "[[mark]]\nprotocol = \"tcp\"\nmark = 7\n";
        let service = "[[service]]\nfwmark = 7\n";
        let unserved = ["no [[service]] takes packets with the firewall mark 7"];
        assert_eq!(warnings(&format!("{mark}{service}")), [""; 0]);
        assert_eq!(warnings(mark), unserved);
        assert_eq!(warnings(service), ["no [[mark]] rule gives packets to FWM 7"]);
        assert_eq!(warnings(&mark.replace('7', "0")), [""; 0], "an exception");
        let ipv6 = "[[mark]]\ndestination = \"fd00::/64\"\nmark = 7\n";
        assert_eq!(
            warnings(&format!("{ipv6}{service}")),
            ["no [[mark]] rule gives packets to FWM 7", unserved[0]]
        );
    }

    #[test]
    fn the_host_needs_a_kernel_interface_and_its_packets() {
        let kernel = "kernel = true\n";
        let unserved = |answer: &str| format!("[director]\nunserved = \"{answer}\"\n");
        assert_eq!(warnings(kernel), [""; 0]);
        assert_eq!(warnings(&format!("{kernel}{}", unserved("kernel"))), [""; 0]);
        assert_eq!(
            warnings(&unserved("kernel")),
            ["director.unserved is `kernel`, but no port has `kernel = true`"]
        );
        for answer in ["reject", "drop"] {
            assert_eq!(
                warnings(&format!("{kernel}{}", unserved(answer))),
                [
                    "director.unserved refuses what the host waits for: its kernel interfaces only send"
                ]
            );
        }
    }

    #[test]
    fn servers_need_a_route() {
        let service = "[[service]]\nprotocol = \"tcp\"\naddress = \"10.0.0.100:80\"\n";
        let server = |address: &str| format!("[[service.destination]]\naddress = \"{address}\"\n");
        let far = format!("{service}{}", server("192.168.1.1"));
        let unreachable = "no route leads to server 192.168.1.1: \
                           a network of a port, a [[route]] or a gateway must cover it";
        assert_eq!(warnings(&far), [unreachable]);
        assert_eq!(warnings(&format!("{service}{}", server("10.0.0.9"))), [""; 0]);
        let route = "[[route]]\ndestination = \"192.168.0.0/16\"\nvia = \"10.0.0.254\"\n";
        assert_eq!(warnings(&format!("{route}{far}")), [""; 0]);
        let other = route.replace("192.168", "192.169");
        assert_eq!(warnings(&format!("{other}{far}")), [unreachable]);
        let many: String = (1..=9).map(|last| server(&format!("192.168.1.{last}"))).collect();
        let many = warnings(&format!("{service}{many}"));
        assert!(many[0].contains("192.168.1.3, 192.168.1.4 and 5 more: "), "{many:?}");
    }
}
