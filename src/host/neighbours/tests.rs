use super::*;
use std::net::Ipv4Addr;

const MAC: [u8; 6] = [2, 0, 0, 0, 0x10, 0x0b];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0x10, 0x0c];
const ANSWER: Claim = Claim { mac: Some(MAC), solicited: true, overrides: true, creates: false };
const GRATUITOUS: Claim = Claim { mac: Some(OTHER), solicited: false, ..ANSWER };
const REQUEST: Claim = Claim { solicited: false, creates: true, ..ANSWER };

fn hop(last: u8) -> NextHopKey {
    (InterfaceId(1), Ipv4Addr::new(192, 168, 10, last).into())
}

/// A clock moved by hand, and effects as text.
#[derive(Default)]
struct Link {
    neighbours: Neighbours<u32>,
    now: Instant,
}

impl Link {
    fn effects(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.neighbours.next_effect())
            .map(|effect| match effect {
                Effect::Solicit { mac: None, .. } => "ask all".into(),
                Effect::Solicit { mac: Some(mac), .. } => format!("ask {:02x}", mac[5]),
                Effect::Send { mac, frame, .. } => format!("send {frame} to {:02x}", mac[5]),
                Effect::Unreachable { frame } => format!("unreachable {frame}"),
                Effect::Drop(reason) => reason.name().into(),
            })
            .collect()
    }

    /// Advances the clock by this many seconds and returns the effects with their second.
    fn run(&mut self, seconds: u64) -> Vec<String> {
        let mut log = Vec::new();
        for tick in 1..=seconds * 10 {
            self.now = self.now + Duration::from_millis(100);
            self.neighbours.tick(self.now);
            log.extend(self.effects().iter().map(|what| format!("{}: {what}", tick / 10)));
        }
        log
    }

    fn send(&mut self, frame: u32) -> Vec<String> {
        self.neighbours.send(hop(11), frame, self.now);
        self.effects()
    }

    fn claim(&mut self, claim: Claim) -> Vec<String> {
        self.neighbours.claim(hop(11), claim, self.now);
        self.effects()
    }

    fn state(&self) -> Option<NeighbourState> {
        self.neighbours.iter().next().map(|row| row.state)
    }
}

#[test]
fn frames_wait_for_the_answer() {
    let mut link = Link::default();
    assert_eq!(link.send(1), ["ask all"]);
    assert!(link.send(2).is_empty());
    assert_eq!(link.neighbours.iter().next().unwrap().queued, 2);
    assert_eq!(link.claim(ANSWER), ["send 1 to 0b", "send 2 to 0b"]);
    assert_eq!(link.send(3), ["send 3 to 0b"]);
    assert_eq!(link.neighbours.generation(), 1);
    assert_eq!(link.state(), Some(NeighbourState::Reachable));
}

#[test]
fn an_unwanted_neighbour_is_not_solicited_again() {
    // One that answers is removed without a probe.
    let mut link = Link::default();
    link.neighbours.want(hop(11), link.now);
    assert_eq!(link.effects(), ["ask all"]);
    link.send(1);
    link.claim(ANSWER);
    link.neighbours.unwant(hop(11));
    assert_eq!(link.run(200), Vec::<String>::new());
    assert_eq!(link.state(), None);
    // A silent one gets at most the solicitations of this round.
    link.neighbours.want(hop(11), link.now);
    link.effects();
    link.neighbours.unwant(hop(11));
    assert_eq!(link.run(200), ["1: ask all", "2: ask all"]);
    assert_eq!(link.state(), None);
}

#[test]
fn unreachable_after_three_solicitations() {
    let mut link = Link::default();
    assert_eq!(link.send(1), ["ask all"]);
    assert_eq!(link.run(4), ["1: ask all", "2: ask all", "3: unreachable 1"]);
    assert_eq!(link.state(), Some(NeighbourState::Failed));
    assert_eq!(link.send(2), ["ask all"], "a new packet starts a new round");
    link.run(10);
    assert_eq!(link.state(), None);
    assert_eq!(link.neighbours.generation(), 0, "no usable address");
}

#[test]
fn a_used_neighbour_is_probed_and_removed_when_silent() {
    let mut link = Link::default();
    link.send(1);
    link.claim(ANSWER);
    assert_eq!(link.run(31), ["30: ask 0b", "31: ask 0b"]);
    assert_eq!(link.state(), Some(NeighbourState::Probe));
    link.claim(ANSWER);
    assert_eq!(link.run(34), ["30: ask 0b", "31: ask 0b", "32: ask 0b"]);
    assert_eq!(link.state(), None);
    assert_eq!(link.neighbours.generation(), 2);
}

#[test]
fn wanted_neighbours_are_solicited_forever() {
    let mut link = Link::default();
    link.neighbours.want(hop(11), link.now);
    assert_eq!(link.effects(), ["ask all"]);
    let log = link.run(60);
    assert_eq!(log[..3], ["1: ask all", "2: ask all", "8: ask all"]);
    assert_eq!(log.len(), 2 + 3 * 7);
    link.claim(ANSWER);
    let log = link.run(34);
    assert_eq!(log, ["30: ask 0b", "31: ask 0b", "32: ask 0b", "33: ask all", "34: ask all"]);
    link.neighbours.unwant(hop(11));
    link.run(20);
    assert_eq!(link.state(), None);
}

#[test]
fn hearsay() {
    let mut link = Link::default();
    assert!(link.claim(GRATUITOUS).is_empty());
    assert_eq!(link.state(), None, "a gratuitous message creates no entry");
    link.claim(REQUEST);
    assert_eq!(link.state(), Some(NeighbourState::Stale));
    assert_eq!(link.send(1), ["send 1 to 0b"], "usable at once");
    assert_eq!(link.state(), Some(NeighbourState::Delay));
    assert_eq!(link.run(5), ["5: ask 0b"]);
    link.claim(ANSWER);
    link.claim(GRATUITOUS);
    assert_eq!((link.state(), link.neighbours.generation()), (Some(NeighbourState::Delay), 2));
    assert_eq!(link.send(2), ["send 2 to 0c"]);
}

#[test]
fn unused_entries_are_removed() {
    let mut link = Link::default();
    link.claim(REQUEST);
    assert!(link.run(61).is_empty());
    assert_eq!((link.state(), link.neighbours.generation()), (None, 2));
}

/// RFC 4861 section 7.2.5: without the override flag a different address only changes the state.
#[test]
fn without_override_the_address_stays() {
    let mut link = Link::default();
    link.send(1);
    link.claim(ANSWER);
    link.claim(Claim { overrides: false, ..GRATUITOUS });
    assert_eq!(link.state(), Some(NeighbourState::Delay));
    assert_eq!(link.send(2), ["send 2 to 0b"]);
    link.claim(Claim { mac: None, overrides: false, ..ANSWER });
    assert_eq!(link.state(), Some(NeighbourState::Reachable));
}

#[test]
fn permanent_ones_are_never_overwritten() {
    let mut link = Link::default();
    link.send(1);
    link.neighbours.set_permanent(&BTreeMap::from([(hop(11), MAC)]), link.now);
    assert_eq!(link.effects(), ["send 1 to 0b"]);
    link.claim(GRATUITOUS);
    assert!(link.run(100).is_empty());
    assert_eq!(link.send(2), ["send 2 to 0b"]);
    link.neighbours.want(hop(11), link.now);
    link.neighbours.set_permanent(&BTreeMap::new(), link.now);
    assert_eq!(link.effects(), ["ask all"], "it is still wanted");
    assert_eq!(link.neighbours.generation(), 2);
}

#[test]
fn queues_are_bounded_oldest_first() {
    let mut link = Link::default();
    for frame in 0..NEIGHBOUR_QUEUE as u32 + 1 {
        link.send(frame);
    }
    let sent = link.claim(ANSWER);
    assert_eq!((sent.len(), sent[0].as_str()), (NEIGHBOUR_QUEUE, "send 1 to 0b"));
    let all = (NEIGHBOUR_QUEUES + 5) as u32;
    for frame in 0..all {
        let next_hop = (InterfaceId(0), Ipv4Addr::from_bits(0x0a00_0000 + frame).into());
        link.neighbours.send(next_hop, frame, link.now);
    }
    let full = link.effects().iter().filter(|what| *what == "neighbour-queue-full").count();
    assert_eq!(full, 5);
}

#[test]
fn the_table_is_bounded_except_for_wanted_neighbours() {
    let mut link = Link::default();
    for address in 0..NEIGHBOURS_MAX as u32 {
        let next_hop = (InterfaceId(0), Ipv4Addr::from_bits(0x0a00_0000 + address).into());
        link.neighbours.send(next_hop, address, link.now);
    }
    link.effects();
    assert_eq!(link.send(1), ["neighbour-queue-full"]);
    link.neighbours.want(hop(11), link.now);
    assert_eq!(link.effects(), ["ask all"]);
    assert_eq!(link.neighbours.entries.len(), NEIGHBOURS_MAX + 1);
    link.run(25);
    assert_eq!(link.neighbours.entries.len(), 1, "expired entries are removed");
}

mod any_order {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Send(u8),
        Claim(u8, Option<u8>, bool, bool, bool),
        Want(u8),
        Unwant(u8),
        Permanent(BTreeMap<u8, u8>),
        Tick(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        let flags = any::<(bool, bool, bool)>();
        prop_oneof![
            6 => (0u8..4).prop_map(Step::Send),
            4 => (0u8..4, prop::option::of(0u8..3), flags)
                .prop_map(|(who, mac, (a, b, c))| Step::Claim(who, mac, a, b, c)),
            1 => (0u8..4).prop_map(Step::Want),
            1 => (0u8..4).prop_map(Step::Unwant),
            1 => prop::collection::btree_map(0u8..4, 0u8..3, 0..3).prop_map(Step::Permanent),
            6 => (1u16..40).prop_map(Step::Tick),
        ]
    }

    fn mac(number: u8) -> [u8; 6] {
        [2, 0, 0, 0, 0, number]
    }

    fn usable(link: &Link) -> Vec<(IpAddr, [u8; 6])> {
        link.neighbours.iter().filter_map(|row| Some((row.address, row.mac?))).collect()
    }

    fn take(link: &mut Link, step: &Step, frame: u32) {
        let now = link.now;
        match step {
            Step::Send(who) => link.neighbours.send(hop(*who), frame, now),
            Step::Claim(who, number, solicited, overrides, creates) => {
                let (solicited, overrides, creates) = (*solicited, *overrides, *creates);
                let claim = Claim { mac: number.map(mac), solicited, overrides, creates };
                link.neighbours.claim(hop(*who), claim, now);
            }
            Step::Want(who) => link.neighbours.want(hop(*who), now),
            Step::Unwant(who) => link.neighbours.unwant(hop(*who)),
            Step::Permanent(list) => {
                let list = list.iter().map(|(who, number)| (hop(*who), mac(*number))).collect();
                link.neighbours.set_permanent(&list, now);
            }
            Step::Tick(tenths) => {
                link.now = now + Duration::from_millis(100 * u64::from(*tenths));
                link.neighbours.tick(link.now);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Every frame is sent to a usable address, answered as unreachable, dropped with a reason, or still queued.
        /// All changes of usable addresses are reported. Wanted neighbours are never removed.
        #[test]
        fn nothing_is_lost(steps in prop::collection::vec(step(), 1..60)) {
            let mut link = Link::default();
            let (mut given, mut done, mut wanted) = (0u32, 0, BTreeSet::new());
            let mut heard = BTreeMap::new();
            for step in &steps {
                let (before, generation) = (usable(&link), link.neighbours.generation());
                take(&mut link, step, given);
                match step {
                    Step::Send(_) => given += 1,
                    Step::Want(who) => drop(wanted.insert(*who)),
                    Step::Unwant(who) => drop(wanted.remove(who)),
                    _ => {}
                }
                while let Some(effect) = link.neighbours.next_effect() {
                    done += u32::from(!matches!(effect, Effect::Solicit { .. }));
                }
                let waiting: usize = link.neighbours.iter().map(|row| row.queued).sum();
                prop_assert_eq!(waiting, link.neighbours.queued);
                prop_assert_eq!(given, done + waiting as u32);
                if before != usable(&link) {
                    prop_assert_ne!(generation, link.neighbours.generation());
                }
                for ((_, address), mac) in link.neighbours.take_changes() {
                    match mac {
                        Some(mac) => drop(heard.insert(address, mac)),
                        None => drop(heard.remove(&address)),
                    }
                }
                prop_assert!(usable(&link).into_iter().eq(heard.clone()), "reported changes");
                prop_assert!(link.neighbours.iter().all(|row| row.mac.is_none() || row.queued == 0));
                for who in &wanted {
                    prop_assert!(link.neighbours.iter().any(|row| row.address == hop(*who).1));
                }
            }
        }
    }
}
