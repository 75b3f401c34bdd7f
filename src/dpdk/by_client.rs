//! Hashing by the client's address alone: whether a device can do it, whether it is configured, and the result. If a device
//! has no hash over one address, a special key has the same effect.
//!
//! Ports to clients hash the source, ports to servers hash the destination. Then a request and its NAT reply arrive at the
//! same worker, as do fragments, and no packet is handed off. The cost: all flows of one client share one worker. On a
//! port with both kinds of packets, one kind would be hashed by the VIP and so arrive at one worker. Therefore the
//! configuration names the side of a port; without it, whole flows are hashed.

use super::keying::Keying;
use super::rss::RssFunctions;
use crate::model::PortSide;
use std::fmt;

/// The result of asking a device to hash by client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByClient {
    /// The configuration does not name the port's side. The value says whether the device could hash by client.
    Unasked { able: bool },
    /// Clients' source addresses, or servers' destination addresses, are hashed.
    Used(PortSide),
    /// Whole flows are hashed, by a key to which only those addresses matter.
    ByKey(PortSide),
    /// The device does not hash by client, although the port has a side.
    Refused(PortSide, String),
}

/// One configuration to try on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// The hash functions to configure.
    pub(super) functions: RssFunctions,
    /// The fields that select the queue.
    pub(super) keying: Keying,
    /// The result if the device accepts it.
    pub(super) by_client: ByClient,
}

/// The configurations to try on a device with a redirection table of `reta_size` entries, in order, until it accepts one.
pub(super) fn choices(offered: RssFunctions, side: PortSide, reta_size: u16) -> Vec<Choice> {
    let flows = offered.difference(RssFunctions::ONE_ADDRESS);
    if flows.is_empty() {
        return Vec::new();
    }
    let by_flow = |functions, by_client| Choice { functions, keying: Keying::Flow, by_client };
    let only = match side {
        PortSide::Both => {
            let either = [RssFunctions::SOURCE_ONLY, RssFunctions::DESTINATION_ONLY];
            let by_function = either.iter().all(|only| client_alone(offered, *only).is_some());
            let able = by_function || Keying::client(PortSide::Clients, reta_size).is_some();
            return vec![by_flow(flows, ByClient::Unasked { able })];
        }
        PortSide::Clients => RssFunctions::SOURCE_ONLY,
        PortSide::Servers => RssFunctions::DESTINATION_ONLY,
    };
    let by_function =
        client_alone(offered, only).map(|functions| by_flow(functions, ByClient::Used(side)));
    let by_key = Keying::client(side, reta_size).map(|keying| Choice {
        functions: flows,
        keying,
        by_client: ByClient::ByKey(side),
    });
    let why = match (&by_function, &by_key) {
        (None, None) => CANNOT,
        _ => "its driver does not take it",
    };
    let refused = by_flow(flows, ByClient::Refused(side, why.to_owned()));
    by_function.into_iter().chain(by_key).chain([refused]).collect()
}

/// Some drivers report the size of the redirection table only after the start, which is too late.
const CANNOT: &str = "the device cannot hash one address, and its redirection table does not have \
     16 to 4096 entries";

/// All address hash functions of the device, limited to one address. `None` if the device cannot limit them, or if one
/// family would then not be hashed at all.
fn client_alone(offered: RssFunctions, only: RssFunctions) -> Option<RssFunctions> {
    let ipv4 = offered.contains(RssFunctions::IPV4);
    let any_ipv6 = RssFunctions::IPV6 | RssFunctions::IPV6_EX;
    let ipv6 = offered.intersects(any_ipv6) || !offered.intersects(RssFunctions::ALL_IPV6);
    (ipv4 && ipv6 && offered.contains(only))
        .then_some(offered.intersection(RssFunctions::ADDRESSES) | only)
}

/// For a device without a hash or with an unknown one.
pub(super) fn without_rss(side: PortSide) -> ByClient {
    match side {
        PortSide::Both => ByClient::Unasked { able: false },
        side => ByClient::Refused(side, "no hash of the device's is used".to_owned()),
    }
}

/// The actual result: what was configured, corrected by what the device reports about its hash and its key.
pub(super) fn settle(meant: ByClient, told: RssFunctions, is_key_kept: bool) -> ByClient {
    let refused = |side, why: &str| ByClient::Refused(side, why.to_owned());
    match meant {
        ByClient::Used(side) if !told.intersects(RssFunctions::ONE_ADDRESS) => {
            refused(side, "the device hashes both addresses all the same")
        }
        ByClient::ByKey(side) if !is_key_kept => {
            refused(side, "the device does not accept another key or table size")
        }
        meant => meant,
    }
}

/// The text in `directorctl status`, after the hashed fields.
impl fmt::Display for ByClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = |side: &PortSide| match side {
            PortSide::Both => "both sides",
            PortSide::Clients => "clients",
            PortSide::Servers => "servers",
        };
        match self {
            ByClient::Unasked { able: false } => {
                formatter.write_str("by flow, because the device cannot hash by client address")
            }
            ByClient::Unasked { able: true } => {
                formatter.write_str("by flow, because the port's side is both")
            }
            ByClient::Used(side) => {
                write!(formatter, "by client address, because the port's side is {}", whom(side))
            }
            ByClient::ByKey(side) => {
                let whom = whom(side);
                write!(
                    formatter,
                    "by client address with a special RSS key, because the port's side is {whom}"
                )
            }
            ByClient::Refused(side, why) => {
                write!(formatter, "by flow, although the port's side is {}: {why}", whom(side))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash functions of several kinds of devices, as `rte_eth_dev_info` reports them.
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
        let used = |functions, side| Some((functions, ByClient::Used(side)));
        // (what, offered, side, what is asked first if it is by client)
        let cases = [
            ("no RSS", RssFunctions::empty(), PortSide::Clients, None),
            ("usual", usual(), PortSide::Clients, None),
            ("usual", usual(), PortSide::Servers, None),
            ("able, unasked", usual() | either, PortSide::Both, None),
            (
                "clients",
                addresses() | by_port | either,
                PortSide::Clients,
                used(addresses() | source, PortSide::Clients),
            ),
            (
                "servers",
                addresses() | by_port | either,
                PortSide::Servers,
                used(addresses() | destination, PortSide::Servers),
            ),
            (
                "one direction",
                addresses() | source,
                PortSide::Clients,
                used(addresses() | source, PortSide::Clients),
            ),
            ("the other direction", addresses() | source, PortSide::Servers, None),
            (
                "IPv4 alone",
                RssFunctions::IPV4 | RssFunctions::IPV4_UDP | source,
                PortSide::Clients,
                used(RssFunctions::IPV4 | source, PortSide::Clients),
            ),
            ("IPv6 by ports only", RssFunctions::IPV4 | by_port | source, PortSide::Clients, None),
            ("by ports only", by_port | source, PortSide::Clients, None),
        ];
        for (what, offered, side, expected) in cases {
            let first = choices(offered, side, 128).into_iter().next();
            let asked = first.map(|choice| (choice.functions, choice.by_client));
            let by_client = asked.filter(|(_, said)| matches!(said, ByClient::Used(_)));
            assert_eq!(by_client, expected, "{what}");
        }
    }

    /// For every device the last choice is whole flows, which every device with RSS accepts.
    #[test]
    fn whole_flows_are_what_is_left() {
        for side in [PortSide::Both, PortSide::Clients, PortSide::Servers] {
            for offered in [usual(), RssFunctions::all(), addresses()] {
                let choices = choices(offered, side, 128);
                let Choice { functions, keying, by_client } = choices.last().unwrap();
                assert_eq!(*functions, offered.difference(RssFunctions::ONE_ADDRESS));
                assert_eq!(*keying, Keying::Flow);
                assert!(!matches!(by_client, ByClient::Used(_) | ByClient::ByKey(_)));
            }
        }
    }

    /// A device that hashes whole flows is tried with a special key, after the hash of one address and before whole flows.
    #[test]
    fn a_key_serves_where_the_device_cannot_choose() {
        let ways = |offered, side, size: u16| -> Vec<ByClient> {
            choices(offered, side, size).into_iter().map(|choice| choice.by_client).collect()
        };
        let refused = |why: &str| ByClient::Refused(PortSide::Servers, why.to_owned());
        let by_key = ByClient::ByKey(PortSide::Servers);
        let used = ByClient::Used(PortSide::Servers);
        let not_taken = refused("its driver does not take it");
        let able = usual() | RssFunctions::ONE_ADDRESS;
        let cases = [
            (usual(), 128, vec![by_key.clone(), not_taken.clone()]),
            (able, 128, vec![used.clone(), by_key, not_taken.clone()]),
            (able, 100, vec![used, not_taken]),
            (usual(), 100, vec![refused(CANNOT)]),
        ];
        for (offered, size, expected) in cases {
            assert_eq!(ways(offered, PortSide::Servers, size), expected);
        }
        let keying = choices(usual(), PortSide::Clients, 64)[0].keying;
        assert_eq!(Some(keying), Keying::client(PortSide::Clients, 64));
    }

    #[test]
    fn without_rss_nothing_is_by_client() {
        assert_eq!(without_rss(PortSide::Both), ByClient::Unasked { able: false });
        let said = without_rss(PortSide::Servers).to_string();
        assert_eq!(
            said,
            "by flow, although the port's side is servers: no hash of the device's is used"
        );
    }

    #[test]
    fn what_the_device_says_in_the_end_counts() {
        let told = addresses() | RssFunctions::SOURCE_ONLY;
        let used = ByClient::Used(PortSide::Clients);
        assert_eq!(settle(used.clone(), told, true), used);
        let by_key = ByClient::ByKey(PortSide::Clients);
        assert_eq!(settle(by_key.clone(), addresses(), true), by_key);
        let said = settle(by_key, addresses(), false).to_string();
        assert!(said.ends_with("the device does not accept another key or table size"));
        let said = settle(used, addresses(), true).to_string();
        assert_eq!(
            said,
            "by flow, although the port's side is clients: the device hashes both addresses all the same"
        );
    }

    #[test]
    fn each_way_is_told_with_its_reason() {
        let told = |offered, side, size| choices(offered, side, size)[0].by_client.to_string();
        let able = usual() | RssFunctions::ONE_ADDRESS;
        let cases = [
            (
                usual(),
                PortSide::Both,
                0,
                "by flow, because the device cannot hash by client address",
            ),
            (usual(), PortSide::Both, 64, "by flow, because the port's side is both"),
            (able, PortSide::Both, 0, "by flow, because the port's side is both"),
            (able, PortSide::Servers, 64, "by client address, because the port's side is servers"),
            (
                usual(),
                PortSide::Servers,
                64,
                "by client address with a special RSS key, because the port's side is servers",
            ),
            (
                usual(),
                PortSide::Servers,
                0,
                "by flow, although the port's side is servers: the device cannot hash one address, and its \
                 redirection table does not have 16 to 4096 entries",
            ),
        ];
        for (offered, side, size, text) in cases {
            assert_eq!(told(offered, side, size), text);
        }
    }
}
