//! The verdict on a device, from the frames received.

use super::flows::Kind;
use director::dpdk::ByClient;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How a director behaves on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Frames arrive as key and table say: the device places flows, and a client uses several queues.
    ByFlow,
    /// As above, and all frames of a client arrive on one queue.
    ByClient,
    /// The port reported one of the two above and the frames show the other.
    Contradicted,
    /// Frames arrive elsewhere and the RSS check found it: workers hand frames off by the software hash.
    Refuted,
    /// The device reports no key and table: software hash as well.
    Software,
    /// The device has only one queue.
    OneQueue,
    /// Too few frames for a verdict.
    Silent,
}

impl Verdict {
    const ALL: [(Verdict, &str); 7] = [
        (Verdict::ByFlow, "by-flow"),
        (Verdict::ByClient, "by-client"),
        (Verdict::Contradicted, "contradicted"),
        (Verdict::Refuted, "refuted"),
        (Verdict::Software, "software"),
        (Verdict::OneQueue, "one-queue"),
        (Verdict::Silent, "silent"),
    ];
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Verdict, String> {
        let found = Verdict::ALL.iter().find(|(_, name)| *name == text);
        let (verdict, _) = found.ok_or_else(|| format!("{text} is not a verdict"))?;
        Ok(*verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) =
            Verdict::ALL.iter().find(|(verdict, _)| verdict == self).ok_or(fmt::Error)?;
        formatter.write_str(name)
    }
}

/// Frames of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub frames: u64,
    pub misplaced: u64,
    pub reported: u64,
    pub mismatched: u64,
}

/// Ports and queues of one client.
#[derive(Clone, Debug, Default)]
struct Client {
    ports: BTreeSet<u16>,
    queues: BTreeSet<u16>,
}

/// All frames received on one device.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub kinds: BTreeMap<Kind, Count>,
    clients: BTreeMap<IpAddr, Client>,
    /// Frames by queue.
    pub queues: Vec<u64>,
}

impl Tally {
    pub fn new(queues: usize) -> Tally {
        Tally { queues: vec![0; queues], ..Tally::default() }
    }

    /// Counts a frame received on `queue`. `expected`: queue and hash by key and table.
    pub fn add(
        &mut self,
        kind: Kind,
        queue: u16,
        reported: Option<u32>,
        expected: Option<(u32, u16)>,
    ) {
        if let Some(count) = self.queues.get_mut(usize::from(queue)) {
            *count += 1;
        }
        let count = self.kinds.entry(kind).or_default();
        count.frames += 1;
        let Some((hash, home)) = expected else { return };
        count.misplaced += u64::from(home != queue);
        if let Some(reported) = reported {
            count.reported += 1;
            count.mismatched += u64::from(reported != hash);
        }
    }

    /// Sender of that frame, and its port if it has one.
    pub fn note_client(&mut self, address: IpAddr, port: Option<u16>, queue: u16) {
        let client = self.clients.entry(address).or_default();
        client.ports.extend(port);
        client.queues.insert(queue);
    }

    /// Number of clients that sent from several ports, and of those that arrived on several queues.
    fn scattered(&self) -> (usize, usize) {
        let with_choice = self.clients.values().filter(|client| client.ports.len() > 1);
        with_choice.fold((0, 0), |(all, scattered), client| {
            (all + 1, scattered + usize::from(client.queues.len() > 1))
        })
    }

    pub fn total(&self) -> Count {
        self.kinds.values().fold(Count::default(), |sum, count| Count {
            frames: sum.frames + count.frames,
            misplaced: sum.misplaced + count.misplaced,
            reported: sum.reported + count.reported,
            mismatched: sum.mismatched + count.mismatched,
        })
    }

    /// `told`: what the port reported about clients, if the device has an RSS rule. `distrusted`: result of the
    /// director's own check, which must agree with the whole tally.
    pub fn verdict(&self, told: Option<&ByClient>, distrusted: bool) -> Verdict {
        let total = self.total();
        match (total.frames, told, self.scattered()) {
            (0, ..) => Verdict::Silent,
            (_, None, _) => Verdict::Software,
            _ if distrusted => Verdict::Refuted,
            // With one queue in use every frame is in the right place, so it proves nothing.
            _ if total.misplaced > 0 || self.queues.contains(&0) => Verdict::Silent,
            (_, _, (0, _)) => Verdict::Silent,
            (_, Some(ByClient::Used(_) | ByClient::ByKey(_)), (_, 0)) => Verdict::ByClient,
            (_, Some(ByClient::Unasked { .. } | ByClient::Refused(..)), (_, 1..)) => {
                Verdict::ByFlow
            }
            _ => Verdict::Contradicted,
        }
    }
}

/// `packets 4096 (2040 + 2056), clients on several queues 0 of 250, hash mismatches 0 of 4096, placement mismatches 0`,
/// followed by the kinds with mismatches.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let queues: Vec<String> = self.queues.iter().map(u64::to_string).collect();
        let (clients, scattered) = self.scattered();
        write!(formatter, "packets {} ({}), ", total.frames, queues.join(" + "))?;
        write!(formatter, "clients on several queues {scattered} of {clients}, ")?;
        match total.reported {
            0 => formatter.write_str("no hash reported")?,
            reported => write!(formatter, "hash mismatches {} of {reported}", total.mismatched)?,
        }
        write!(formatter, ", placement mismatches {}", total.misplaced)?;
        let wrong: Vec<String> = self
            .kinds
            .iter()
            .filter(|(_, count)| count.misplaced + count.mismatched > 0)
            .map(|(kind, count)| {
                let Count { frames, misplaced, reported, mismatched } = count;
                let hashes = match reported {
                    0 => String::new(),
                    _ => format!(", hash {mismatched} of {reported}"),
                };
                format!("{} {misplaced} of {frames}{hashes}", kind.name())
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { write!(formatter, " [{}]", wrong.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use director::model::PortSide;

    const BY_FLOW: ByClient = ByClient::Unasked { able: false };

    /// Frames of two clients from two ports each, all as expected: `[client][flow]` has their queues.
    fn seen(queues: [[u16; 2]; 2]) -> Tally {
        let mut tally = Tally::new(2);
        for (client, flows) in queues.into_iter().enumerate() {
            for (port, queue) in flows.into_iter().enumerate() {
                let hash = u32::from(queue) + 4;
                tally.add(Kind::TcpIpv4, queue, Some(hash), Some((hash, queue)));
                let address = IpAddr::from([192, 0, 2, client as u8]);
                tally.note_client(address, Some(port as u16), queue);
            }
        }
        tally
    }

    #[test]
    fn frames_are_counted_by_kind_and_queue() {
        let mut tally = seen([[0, 1], [1, 1]]);
        assert_eq!(
            tally.to_string(),
            "packets 4 (1 + 3), clients on several queues 1 of 2, hash mismatches 0 of 4, \
             placement mismatches 0"
        );
        assert_eq!(tally.verdict(Some(&BY_FLOW), false), Verdict::ByFlow);
        tally.add(Kind::UdpIpv6, 1, Some(6), Some((7, 0)));
        assert!(tally.to_string().ends_with("placement mismatches 1 [udp6 1 of 1, hash 1 of 1]"));
        assert_eq!(tally.verdict(Some(&BY_FLOW), true), Verdict::Refuted);
        assert_eq!(
            tally.verdict(Some(&BY_FLOW), false),
            Verdict::Silent,
            "the RSS check must find it"
        );
    }

    #[test]
    fn frames_must_match_what_the_port_reports_about_clients() {
        let used = ByClient::Used(PortSide::Clients);
        let refused = ByClient::Refused(PortSide::Clients, "the device cannot".to_owned());
        let (apart, together) = ([[0, 1], [1, 1]], [[0, 0], [1, 1]]);
        let cases = [
            (apart, &BY_FLOW, Verdict::ByFlow),
            (apart, &refused, Verdict::ByFlow),
            (together, &used, Verdict::ByClient),
            (together, &ByClient::ByKey(PortSide::Servers), Verdict::ByClient),
            (apart, &used, Verdict::Contradicted),
            (together, &refused, Verdict::Contradicted),
        ];
        for (queues, told, verdict) in cases {
            assert_eq!(seen(queues).verdict(Some(told), false), verdict, "{queues:?} {told:?}");
        }
        let mut one_flow_each = seen([[0, 0], [1, 1]]);
        one_flow_each.clients.values_mut().for_each(|client| client.ports = [7].into());
        assert_eq!(one_flow_each.verdict(Some(&used), false), Verdict::Silent);
    }

    #[test]
    fn too_few_frames_give_no_verdict() {
        let mut tally = Tally::new(2);
        assert_eq!(tally.verdict(Some(&BY_FLOW), false), Verdict::Silent);
        tally.add(Kind::TcpIpv4, 0, None, None);
        let verdict = tally.verdict(Some(&BY_FLOW), false);
        assert_eq!(verdict, Verdict::Silent, "one queue proves nothing");
        assert_eq!(tally.verdict(None, false), Verdict::Software);
        assert!(tally.to_string().contains("no hash reported"));
    }

    #[test]
    fn verdicts_have_names() {
        for (verdict, name) in Verdict::ALL {
            assert_eq!((verdict.to_string().as_str(), name.parse()), (name, Ok(verdict)));
        }
        assert!("perhaps".parse::<Verdict>().is_err());
    }
}
