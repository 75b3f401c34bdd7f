//! The whole pipeline on random frames: every frame is counted once, sent frames are valid, and in the end no
//! connection is left.

use crate::farm::Farm;
use crate::oracle;
use crate::recipe::{Recipe, Upper};
use crate::support::director::{Outcome, Shape, TestDirector};
use crate::support::{LAN, LAN_MAC, WAN, WAN_MAC};
use bolero::TypeGenerator;
use director::io::MemoryFrame;
use director::model::{DestinationId, Family, MssClamp};
use director::packet::ethernet::{self, ETHERNET, Payload};
use director::packet::{Fragment, Parse, Role};
use director::reason::PuntReason;
use director::time::Duration;
use director::worker::steering::Placement;
use director::worker::{ConnectionPiece, TableJob};

/// An event in the life of a director.
#[derive(Clone, Debug, TypeGenerator)]
enum Step {
    Frame {
        worker: u8,
        recipe: Recipe,
    },
    /// The last frame again, with other TCP flags.
    Again {
        worker: u8,
        flags: u8,
    },
    Raw {
        worker: u8,
        lan: bool,
        bytes: Vec<u8>,
    },
    Pass {
        seconds: u8,
    },
    Weight {
        destination: u8,
        #[generator(0..3u8)]
        weight: u8,
    },
    Remove {
        destination: u8,
    },
    Sysctl {
        setting: u8,
        #[generator(0..3u8)]
        value: u8,
    },
    DropEntries {
        worker: u8,
        ipv6: bool,
    },
    Sweep {
        worker: u8,
        ipv6: bool,
    },
    List {
        worker: u8,
        ipv6: bool,
    },
    Inject {
        worker: u8,
    },
}

fn family(ipv6: bool) -> Family {
    if ipv6 { Family::Ipv6 } else { Family::Ipv4 }
}

struct Run {
    director: TestDirector,
    destinations: Vec<DestinationId>,
    removed: Vec<DestinationId>,
    last: Option<Recipe>,
    injected: u64,
    outcome: Outcome,
}

impl Run {
    fn new(workers: u16, is_placed: bool) -> Self {
        let placement = match is_placed {
            true => {
                let key = director::packet::toeplitz::SYMMETRIC_KEY.to_vec();
                Placement::rss(key, (0..128).map(|entry| entry % workers).collect())
            }
            false => Placement::Software,
        };
        // Few connections and templates, so that tables fill up.
        let shape = Shape { workers, connections: 48, templates: 16, placement };
        let (director, destinations) = Farm::new().director(shape);
        let outcome = Outcome::default();
        Run { director, destinations, removed: Vec::new(), last: None, injected: 0, outcome }
    }

    fn take(&mut self, outcome: Outcome) {
        outcome.sent.iter().for_each(|(port, bytes)| is_well_formed(*port == LAN, bytes));
        self.outcome.sent.extend(outcome.sent);
        self.outcome.punts.extend(outcome.punts);
        self.outcome.drops.extend(outcome.drops);
    }

    fn step(&mut self, step: &Step) {
        let worker = |number: u8| usize::from(number) % self.director.workers.len();
        match step {
            Step::Frame { worker: number, recipe } => {
                let worker = worker(*number);
                self.frame(worker, recipe.clone());
            }
            Step::Again { worker: number, flags } => {
                let worker = worker(*number);
                if let Some(mut recipe) = self.last.clone() {
                    if let Upper::Tcp { flags: place } = &mut recipe.upper {
                        *place = *flags;
                    }
                    self.frame(worker, recipe);
                }
            }
            Step::Raw { worker: number, lan, bytes } => {
                let (worker, port) = (worker(*number), if *lan { LAN } else { WAN });
                let outcome = self.director.input_at(worker, port, MemoryFrame::new(bytes));
                self.take(outcome);
            }
            Step::Pass { seconds } => {
                let outcome = self.director.pass(Duration::from_secs(u64::from(*seconds)));
                self.take(outcome);
            }
            Step::Weight { destination, weight } => {
                let id = self.destinations[usize::from(*destination) % self.destinations.len()];
                let weight = u32::from(*weight);
                self.director.change(|snapshot| {
                    snapshot.edit_destination(id, |spec| spec.weight = weight);
                });
            }
            Step::Remove { destination } => {
                let id = self.destinations[usize::from(*destination) % self.destinations.len()];
                if !self.removed.contains(&id) {
                    self.removed.push(id);
                    self.director.change(|snapshot| snapshot.remove_destination(id));
                }
            }
            Step::Sysctl { setting, value } => self.set(*setting, i32::from(*value)),
            Step::DropEntries { worker: number, ipv6 } => {
                let job = TableJob::DropEntries { family: family(*ipv6), entries: 48 };
                let worker = worker(*number);
                self.director.job(worker, job);
            }
            Step::Sweep { worker: number, ipv6 } => {
                let job = TableJob::SweepRemoved { family: family(*ipv6), cursor: 0 };
                let worker = worker(*number);
                self.director.job(worker, job);
            }
            Step::List { worker: number, ipv6 } => {
                let rows = Vec::with_capacity(7);
                let piece =
                    ConnectionPiece { family: family(*ipv6), cursor: 0, rows, is_last: false };
                let worker = worker(*number);
                let TableJob::List(piece) = self.director.job(worker, TableJob::List(piece)) else {
                    panic!("a list job returned as another kind")
                };
                assert!(piece.rows.len() <= 7);
            }
            Step::Inject { worker: number } => {
                let worker = worker(*number);
                self.director.inject(worker, WAN, &Recipe::arp());
                self.injected += 1;
                let outcome = self.director.settle();
                self.take(outcome);
            }
        }
    }

    fn frame(&mut self, worker: usize, recipe: Recipe) {
        let port = if recipe.is_from_lan() { LAN } else { WAN };
        let bytes = recipe.frame();
        let outcome = self.director.input_at(worker, port, MemoryFrame::new(&bytes));
        check_outcome(&recipe, &bytes, &outcome);
        self.take(outcome);
        self.last = Some(recipe);
    }

    fn set(&mut self, setting: u8, value: i32) {
        self.director.change(|snapshot| {
            let settings = &mut snapshot.settings;
            let sysctls = &mut settings.sysctls;
            match setting % 12 {
                0 => sysctls.conn_reuse_mode = value,
                1 => sysctls.expire_nodest_conn = value,
                2 => sysctls.expire_quiescent_template = value,
                3 => sysctls.nat_icmp_send = value,
                4 => sysctls.schedule_icmp = value,
                5 => sysctls.sloppy_tcp = value,
                6 => sysctls.sloppy_sctp = value,
                7 => sysctls.cache_bypass = value,
                8 => settings.secure_tcp = value != 0,
                9 => settings.drop_packet_rate = value.unsigned_abs() * 2,
                10 => settings.inbound_off = value == 2,
                _ => {
                    settings.mss_clamp = match value {
                        0 => MssClamp::Off,
                        1 => MssClamp::PathMtu,
                        _ => MssClamp::Bytes(value as u16),
                    }
                }
            }
        });
    }

    /// Every received frame was sent, punted or dropped, exactly once.
    fn check_counters(&mut self) {
        // Held fragments time out.
        let outcome = self.director.pass_s(3);
        self.take(outcome);
        let totals = self.director.totals();
        let ended = totals.sent - self.injected + totals.dropped + totals.punted;
        assert_eq!(totals.received, ended, "{totals:?}");
        assert_eq!(totals.handoff_tx, totals.handoff_rx);
        let seen = &self.outcome;
        let seen = (seen.sent.len() as u64, seen.punts.len() as u64, seen.drops.len() as u64);
        assert_eq!(seen, (totals.sent, totals.punted, totals.dropped));
    }

    /// When all timers have expired, no connection is left and no destination counts one.
    fn expire_connections(&mut self) {
        self.director.now = self.director.now + Duration::from_secs(2000);
        for _ in 0..64 {
            self.director.poll();
            self.director.now = self.director.now + Duration::from_millis(100);
        }
        assert_eq!(self.director.totals().connections, 0);
        for &id in &self.destinations {
            let (active, inactive, _) = self.director.load(id);
            assert_eq!((active, inactive), (0, 0), "{id:?}");
        }
    }
}

/// Every sent frame has the source MAC address of its port, another destination, and a valid header.
fn is_well_formed(is_lan: bool, bytes: &[u8]) {
    let own = if is_lan { LAN_MAC } else { WAN_MAC };
    assert_eq!(ethernet::source(bytes), own);
    assert_ne!(ethernet::destination(bytes), own);
    let ip = &bytes[ETHERNET..];
    match ethernet::ethernet(bytes).unwrap() {
        Payload::Ipv4 => assert_eq!(u32::parse(ip).map(|packet| packet.ttl != 0), Ok(true)),
        Payload::Ipv6 => assert_eq!(u128::parse(ip).map(|packet| packet.ttl != 0), Ok(true)),
        Payload::Arp => {}
        Payload::Other(other) => panic!("a frame of type {:02x?} was sent", other.octets()),
    }
}

/// Checks the outcome of one frame as far as the frame alone determines it.
fn check_outcome(recipe: &Recipe, bytes: &[u8], outcome: &Outcome) {
    let ends = outcome.sent.len() + outcome.punts.len() + outcome.drops.len();
    // Damage or an extension header may also make it a fragment.
    let is_piece = match bytes.get(ETHERNET..) {
        Some(ip) if recipe.is_ipv6 => {
            u128::parse(ip).is_ok_and(|packet| packet.fragment != Fragment::Whole)
        }
        Some(ip) => u32::parse(ip).is_ok_and(|packet| packet.fragment != Fragment::Whole),
        None => false,
    };
    if !is_piece {
        assert_eq!(ends, 1, "{outcome:?}");
    }
    for punt in outcome.punts.iter().filter(|_| !is_piece) {
        // These frames were already rewritten or routed.
        if matches!(punt.reason, PuntReason::NeighbourUnresolved | PuntReason::NatIcmpSend) {
            continue;
        }
        let cut = &bytes[..punt.frame.len().min(bytes.len())];
        assert!(
            punt.frame == cut || recipe.padded,
            "the punted frame was changed: {:?}",
            punt.reason
        );
    }
    if !recipe.is_intact() || is_piece || matches!(recipe.upper, Upper::Raw { .. }) {
        return;
    }
    for (_, sent) in &outcome.sent {
        let ip = &sent[ETHERNET..];
        match ethernet::ethernet(sent) {
            Ok(Payload::Ipv4) => is_right::<u32>(ip),
            Ok(Payload::Ipv6) => is_right::<u128>(ip),
            _ => {}
        }
    }
}

/// Checks the checksums of a sent packet that was correct when received, and of the packet in a tunnel.
fn is_right<A: Parse>(ip: &[u8]) {
    let packet = A::parse(ip).unwrap();
    assert_ne!(oracle::is_upper_right(&packet, ip), Some(false), "{packet:?}");
    if packet.role == Role::IcmpError {
        assert!(A::BYTES == 16 || oracle::is_header_right(&ip[usize::from(packet.quoted)..]));
    }
    let inner = &ip[usize::from(packet.header)..usize::from(packet.length)];
    match packet.protocol {
        4 => is_right::<u32>(inner),
        41 => is_right::<u128>(inner),
        47 => {
            let header = if inner[0] & 0x80 != 0 { 8 } else { 4 };
            match inner[2..4] {
                [0x08, 0x00] => is_right::<u32>(&inner[header..]),
                [0x86, 0xdd] => is_right::<u128>(&inner[header..]),
                _ => panic!("GRE with another type"),
            }
        }
        _ => {}
    }
}

#[test]
fn one_worker() {
    bolero::check!().with_type::<Vec<Step>>().with_test_time(crate::SHORT * 2).for_each(|steps| {
        let mut run = Run::new(1, false);
        steps.iter().for_each(|step| run.step(step));
        run.check_counters();
        run.expire_connections();
    });
}

#[test]
fn three_workers() {
    type Life = (bool, Vec<Step>);
    bolero::check!().with_type::<Life>().with_test_time(crate::SHORT * 2).for_each(
        |(is_placed, steps)| {
            let mut run = Run::new(3, *is_placed);
            steps.iter().for_each(|step| run.step(step));
            run.check_counters();
            run.expire_connections();
        },
    );
}
