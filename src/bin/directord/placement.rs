//! How each port places flows on workers, as the device reports it.

use director::dpdk::{ByClient, Rss};
use director::worker::steering::Placement;
use std::sync::Arc;

/// The placement from the port's RSS, and a sentence about it for `directorctl status`: the placement and its reason.
pub(crate) fn placement(
    name: &str,
    rss: &Rss,
    by_client: &ByClient,
    workers: u16,
) -> (Placement, String) {
    if workers == 1 {
        return (Placement::Software, format!("{name}: one worker, nothing to steer"));
    }
    if let Some(rule) = rss.rule() {
        return (Placement::Rss(Arc::new(rule)), format!("{name}: RSS {rss}; {by_client}"));
    }
    let refused = match by_client {
        ByClient::Refused(..) => format!("; {by_client}"),
        _ => String::new(),
    };
    (Placement::Software, format!("{name}: software hash and hand-off; RSS {rss}{refused}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use director::dpdk::RssFunctions;
    use director::model::PortSide;

    #[test]
    fn the_way_and_its_reason_are_told() {
        let programmed =
            |functions| Rss::Programmed { key: vec![0x6d; 40], reta: vec![0, 1, 0, 1], functions };
        let flows = programmed(RssFunctions::IPV4 | RssFunctions::IPV4_TCP);
        let clients = programmed(RssFunctions::IPV4 | RssFunctions::SOURCE_ONLY);
        let none = Rss::None { why: "the device has no RSS".to_owned() };
        let unable = ByClient::Unasked { able: false };
        let used = ByClient::Used(PortSide::Clients);
        let refused = ByClient::Refused(PortSide::Servers, "it has none".to_owned());
        let cases = [
            (&flows, &unable, 1, "wan: one worker, nothing to steer"),
            (
                &flows,
                &unable,
                2,
                "wan: RSS programmed, 4 entries; ports hashed for TCP over IPv4; \
                 by flow, because the device cannot hash by client address",
            ),
            (
                &clients,
                &used,
                2,
                "wan: RSS programmed, 4 entries; source addresses hashed alone; \
                 by client address, because the port's side is clients",
            ),
            (
                &none,
                &unable,
                2,
                "wan: software hash and hand-off; RSS none (the device has no RSS)",
            ),
            (
                &none,
                &refused,
                2,
                "wan: software hash and hand-off; RSS none (the device has no RSS); \
                 by flow, although the port's side is servers: it has none",
            ),
        ];
        for (rss, by_client, workers, text) in cases {
            let (placement, told) = placement("wan", rss, by_client, workers);
            assert_eq!(told, text);
            let placed = workers > 1 && rss.rule().is_some();
            assert_eq!(matches!(placement, Placement::Rss(_)), placed);
        }
    }
}
