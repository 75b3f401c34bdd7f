//! Random scenarios, determined by a seed: services, traffic, edits and listings.
//!
//! * `random`: random numbers from a seed
//! * `packet`: a packet, and simpler ones
//! * `service`: services, destinations and their commands
//! * `traffic`, `errors`: packets of clients, real servers and routers
//! * `edits`: edits of services while traffic runs
//! * `story`: a whole scenario
//!
//! Intended differences (docs/differences.md) are not generated: IPv4 replies of direct routing and tunnels through the
//! director, record route options, frames to the broadcast MAC address, fragments in tunnels.

mod edits;
mod errors;
pub mod packet;
mod random;
mod service;
mod story;
mod traffic;

use crate::topology::Topology;
use crate::transcript::{Sent, Settings, Step, Transcript};
use packet::Packet;
pub use random::Random;
use std::net::IpAddr;

/// A scenario to record: a transcript whose parts can be removed or simplified.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub name: String,
    pub sysctl: Vec<(String, String)>,
    /// One list of commands for each firewall mark.
    pub marks: Vec<Vec<String>>,
    pub actions: Vec<Action>,
}

/// One step of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Packet(Frame),
    Command {
        ipvsadm: String,
        stdin: Option<String>,
    },
    Setting(String, String),
    Wait(f64),
    /// A step read from a transcript file.
    Kept(Vec<Sent>),
}

/// A packet between two MAC addresses on a port.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub port: String,
    pub from: [u8; 6],
    pub to: [u8; 6],
    pub packet: Packet,
}

impl Scenario {
    /// Scenario `number` of a seed.
    pub fn draw(topology: &Topology, seed: u64, number: u64) -> Scenario {
        story::draw(topology, seed, number)
    }

    /// The scenario of an existing transcript.
    pub fn of(transcript: &Transcript) -> Scenario {
        let action = |step: &Step| match step.clone() {
            Step::Send { send, .. } => vec![Action::Kept(vec![send])],
            Step::Burst { burst, .. } => vec![Action::Kept(burst)],
            Step::Command { ipvsadm, stdin, .. } => vec![Action::Command { ipvsadm, stdin }],
            Step::Sysctl { sysctl } => {
                sysctl.0.into_iter().map(|(name, value)| Action::Setting(name, value)).collect()
            }
            Step::Sleep { sleep, .. } => vec![Action::Wait(sleep)],
        };
        Scenario {
            name: transcript.name.clone(),
            sysctl: transcript.sysctl.0.clone(),
            marks: match transcript.shell.is_empty() {
                true => Vec::new(),
                false => vec![transcript.shell.clone()],
            },
            actions: transcript.steps.iter().flat_map(action).collect(),
        }
    }

    /// The transcript with empty results, for the recorder.
    pub fn transcript(&self, about: &str) -> Transcript {
        Transcript {
            name: self.name.clone(),
            about: about.to_owned(),
            sysctl: Settings(self.sysctl.clone()),
            shell: self.marks.concat(),
            at: Vec::new(),
            steps: self.actions.iter().map(Action::step).collect(),
        }
    }
}

impl Action {
    pub fn command(ipvsadm: impl Into<String>) -> Action {
        Action::Command { ipvsadm: ipvsadm.into(), stdin: None }
    }

    fn step(&self) -> Step {
        match self {
            Action::Packet(Frame { port, from, to, packet }) => {
                let sent = |frame| Sent { port: port.clone(), frame };
                send_step(packet.frames(*from, *to).into_iter().map(sent).collect())
            }
            Action::Kept(frames) => send_step(frames.clone()),
            Action::Command { ipvsadm, stdin } => Step::Command {
                ipvsadm: ipvsadm.clone(),
                stdin: stdin.clone(),
                rc: 0,
                stdout: String::new(),
                stderr: String::new(),
            },
            Action::Setting(name, value) => {
                Step::Sysctl { sysctl: Settings(vec![(name.clone(), value.clone())]) }
            }
            Action::Wait(seconds) => Step::Sleep { sleep: *seconds, out: Vec::new() },
        }
    }
}

fn send_step(mut frames: Vec<Sent>) -> Step {
    match frames.len() {
        1 => Step::Send { send: frames.remove(0), out: Vec::new() },
        _ => Step::Burst { burst: frames, out: Vec::new() },
    }
}

impl Frame {
    /// The packet on the port of its sender or of the router before the sender.
    pub fn arriving(topology: &Topology, packet: Packet, link: IpAddr) -> Frame {
        let bytes = |text: &str| -> [u8; 6] {
            let mut octets = text.split(':').map(|part| u8::from_str_radix(part, 16));
            std::array::from_fn(|_| octets.next().and_then(Result::ok).unwrap_or_default())
        };
        let beside = |(_, port): &(&String, &crate::topology::Port)| port.neigh.contains_key(&link);
        let far = link.to_string().starts_with("172.16.");
        let (name, port) = topology
            .ports
            .iter()
            .find(beside)
            .or_else(|| topology.ports.iter().find(|(name, _)| (*name == "lan0") == far))
            .expect("the topology has the ports wan0 and lan0");
        let mac = port.neigh.get(&link).unwrap_or(&port.peer_mac);
        Frame { port: name.clone(), from: bytes(mac), to: bytes(&port.mac), packet }
    }
}
