//! Hashing by the client's address alone: whether a device can, whether it is to, and what became of it.
//!
//! Hashed by their source where clients send and by their destination where servers answer, a request and NAT's reply to it
//! come to the same worker, as do fragments: nothing is handed over. The price is that all flows of one client share one
//! worker, and that of a port with both kinds of packets one kind would be placed by the virtual address, all on one
//! worker. So a port is told whom it faces, or whole flows are hashed.

use super::rss::RssFunctions;
use crate::model::Faces;
use std::fmt;

/// What became of hashing by client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByClient {
    /// The port's configuration does not say whom it faces; whether the device could.
    Unasked { able: bool },
    /// Clients' source addresses, or servers' destination addresses, are hashed.
    Used(Faces),
    /// It is not, though the port faces clients or servers alone.
    Refused(Faces, String),
}

/// What to ask of a device, in this order until it agrees, and what to say of each.
pub(super) fn choices(offered: RssFunctions, faces: Faces) -> Vec<(RssFunctions, ByClient)> {
    let flows = offered.difference(RssFunctions::ONE_ADDRESS);
    if flows.is_empty() {
        return Vec::new();
    }
    let by_client = |only| client_alone(offered, only);
    let asked = match faces {
        Faces::Both => {
            let able = by_client(RssFunctions::SOURCE_ONLY).is_some()
                && by_client(RssFunctions::DESTINATION_ONLY).is_some();
            return vec![(flows, ByClient::Unasked { able })];
        }
        Faces::Clients => by_client(RssFunctions::SOURCE_ONLY),
        Faces::Servers => by_client(RssFunctions::DESTINATION_ONLY),
    };
    let refused = |why: &str| (flows, ByClient::Refused(faces, why.to_owned()));
    match asked {
        Some(functions) => {
            vec![(functions, ByClient::Used(faces)), refused("its driver does not take it")]
        }
        None => vec![refused("the device cannot")],
    }
}

/// Every function of addresses that the device has, with one of them left out. `None`: then some family's packets would not
/// be hashed at all, or it has no such function.
fn client_alone(offered: RssFunctions, only: RssFunctions) -> Option<RssFunctions> {
    let ipv4 = offered.contains(RssFunctions::IPV4);
    let any_ipv6 = RssFunctions::IPV6 | RssFunctions::IPV6_EX;
    let ipv6 = offered.intersects(any_ipv6) || !offered.intersects(RssFunctions::ALL_IPV6);
    (ipv4 && ipv6 && offered.contains(only))
        .then_some(offered.intersection(RssFunctions::ADDRESSES) | only)
}

/// Of a device whose hash is none or not known.
pub(super) fn without_rss(faces: Faces) -> ByClient {
    match faces {
        Faces::Both => ByClient::Unasked { able: false },
        faces => ByClient::Refused(faces, "no hash of the device's is used".to_owned()),
    }
}

/// Corrects what was meant to be by what the device says it hashes.
pub(super) fn settle(meant: ByClient, told: RssFunctions) -> ByClient {
    match meant {
        ByClient::Used(faces) if !told.intersects(RssFunctions::ONE_ADDRESS) => {
            let why = "the device hashes both addresses all the same";
            ByClient::Refused(faces, why.to_owned())
        }
        meant => meant,
    }
}

/// For `directorctl status`, after what is hashed.
impl fmt::Display for ByClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = |faces: &Faces| match faces {
            Faces::Both => "both sides",
            Faces::Clients => "clients",
            Faces::Servers => "servers",
        };
        match self {
            ByClient::Unasked { able: false } => {
                formatter.write_str("by flow, as the device cannot hash by client alone")
            }
            ByClient::Unasked { able: true } => {
                formatter.write_str("by flow, as the port is not said to face clients or servers")
            }
            ByClient::Used(faces) => {
                write!(formatter, "by client alone, as the port faces {}", whom(faces))
            }
            ByClient::Refused(faces, why) => write!(
                formatter,
                "by flow, not by client alone though the port faces {}: {why}",
                whom(faces)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kinds of devices offer: functions as `rte_eth_dev_info` has them.
    fn usual() -> RssFunctions {
        RssFunctions::all().difference(RssFunctions::ONE_ADDRESS)
    }

    fn addresses() -> RssFunctions {
        RssFunctions::IPV4 | RssFunctions::IPV6
    }

    #[test]
    fn a_device_is_asked_for_what_it_can() {
        let either = RssFunctions::ONE_ADDRESS;
        let (source, destination) = (RssFunctions::SOURCE_ONLY, RssFunctions::DESTINATION_ONLY);
        let by_port = RssFunctions::IPV4_TCP | RssFunctions::IPV6_TCP;
        let used = |functions, faces| Some((functions, ByClient::Used(faces)));
        // (what, offered, faces, what is asked first if it is by client)
        let cases = [
            ("no RSS", RssFunctions::empty(), Faces::Clients, None),
            ("usual", usual(), Faces::Clients, None),
            ("usual", usual(), Faces::Servers, None),
            ("able, unasked", usual() | either, Faces::Both, None),
            (
                "clients",
                addresses() | by_port | either,
                Faces::Clients,
                used(addresses() | source, Faces::Clients),
            ),
            (
                "servers",
                addresses() | by_port | either,
                Faces::Servers,
                used(addresses() | destination, Faces::Servers),
            ),
            (
                "one direction",
                addresses() | source,
                Faces::Clients,
                used(addresses() | source, Faces::Clients),
            ),
            ("the other direction", addresses() | source, Faces::Servers, None),
            (
                "IPv4 alone",
                RssFunctions::IPV4 | RssFunctions::IPV4_UDP | source,
                Faces::Clients,
                used(RssFunctions::IPV4 | source, Faces::Clients),
            ),
            ("IPv6 by ports only", RssFunctions::IPV4 | by_port | source, Faces::Clients, None),
            ("by ports only", by_port | source, Faces::Clients, None),
        ];
        for (what, offered, faces, expected) in cases {
            let first = choices(offered, faces).into_iter().next();
            let by_client = first.filter(|(_, said)| matches!(said, ByClient::Used(_)));
            assert_eq!(by_client, expected, "{what}");
        }
    }

    /// Whatever is offered, the last choice is whole flows, as every device with RSS takes them.
    #[test]
    fn whole_flows_are_what_is_left() {
        for faces in [Faces::Both, Faces::Clients, Faces::Servers] {
            for offered in [usual(), RssFunctions::all(), addresses()] {
                let choices = choices(offered, faces);
                let (functions, said) = choices.last().unwrap();
                assert_eq!(*functions, offered.difference(RssFunctions::ONE_ADDRESS));
                assert!(!matches!(said, ByClient::Used(_)));
            }
        }
    }

    #[test]
    fn without_rss_nothing_is_by_client() {
        assert_eq!(without_rss(Faces::Both), ByClient::Unasked { able: false });
        let said = without_rss(Faces::Servers).to_string();
        assert_eq!(
            said,
            "by flow, not by client alone though the port faces servers: \
             no hash of the device's is used"
        );
    }

    #[test]
    fn what_the_device_says_in_the_end_counts() {
        let told = addresses() | RssFunctions::SOURCE_ONLY;
        let used = ByClient::Used(Faces::Clients);
        assert_eq!(settle(used.clone(), told), used);
        let said = settle(used, addresses()).to_string();
        assert_eq!(
            said,
            "by flow, not by client alone though the port faces clients: \
             the device hashes both addresses all the same"
        );
    }

    #[test]
    fn each_way_is_told_with_its_reason() {
        let told = |offered, faces| choices(offered, faces)[0].1.to_string();
        let able = usual() | RssFunctions::ONE_ADDRESS;
        let cases = [
            (usual(), Faces::Both, "by flow, as the device cannot hash by client alone"),
            (able, Faces::Both, "by flow, as the port is not said to face clients or servers"),
            (able, Faces::Servers, "by client alone, as the port faces servers"),
            (
                usual(),
                Faces::Servers,
                "by flow, not by client alone though the port faces servers: the device cannot",
            ),
        ];
        for (offered, faces, text) in cases {
            assert_eq!(told(offered, faces), text);
        }
    }
}
