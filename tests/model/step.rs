//! One step of a run, and its description.

use crate::site;
use director::api::Command;
use director::model::{
    DestinationSpec, Family, Persistence, PortId, Protocol, ServiceKey, ServiceSpec,
};
use director::packet::ethernet::ETHERNET;
use director::packet::tcp;
use director::testing::frame;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A packet as its sender builds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Port of the director on which it arrives.
    pub by: PortId,
    pub protocol: Protocol,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// TCP flags.
    pub flags: u8,
    pub ttl: u8,
    pub dont_fragment: bool,
    /// Bytes after the transport header.
    pub payload: u16,
}

/// An ICMP or ICMPv6 error about a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IcmpError {
    pub by: PortId,
    pub sender: IpAddr,
    pub to: IpAddr,
    pub message_type: u8,
    pub ttl: u8,
    /// The quoted packet, as the error's sender received it.
    pub about: Packet,
}

#[derive(Clone, Debug)]
pub enum Step {
    Error(IcmpError),
    Apply(Command),
    Sysctl(&'static str, i32),
    Packet(Packet),
    /// This many ticks of the clock.
    Wait(u32),
}

fn mac_of(address: IpAddr) -> [u8; 6] {
    let neighbour = site::neighbours().find(|(known, _)| *known == address);
    neighbour.map_or([2, 0, 0, 0, 0x10, 0xff], |(_, mac)| mac)
}

impl IcmpError {
    pub fn length(&self) -> u16 {
        self.about.length() + if self.sender.is_ipv4() { 28 } else { 48 }
    }

    pub fn frame(&self) -> Vec<u8> {
        let start = frame().macs(site::mac(self.by), mac_of(self.sender));
        let about = &self.about.frame()[ETHERNET..];
        let kind = self.message_type;
        match (self.sender, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let code = u8::from(kind == 3);
                start.ipv4(from, to).ttl(self.ttl).icmp_error(kind, code, 0, about).build()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let mtu = if kind == 2 { 1400 } else { 0 };
                start.ipv6(from, to).ttl(self.ttl).icmp_error(kind, 0, mtu, about).build()
            }
            _ => panic!("both ends of a packet are of one family"),
        }
    }
}

impl Packet {
    pub fn family(&self) -> Family {
        Family::of(self.source.ip())
    }

    /// Length of the IP packet in bytes.
    pub fn length(&self) -> u16 {
        let header = match self.family() {
            Family::Ipv4 => 20,
            Family::Ipv6 => 40,
        };
        let transport = if self.protocol == Protocol::Tcp { 20 } else { 8 };
        header + transport + self.payload
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn frame(&self) -> Vec<u8> {
        let start = frame().macs(site::mac(self.by), mac_of(self.source.ip()));
        let payload = vec![0x5a; usize::from(self.payload)];
        let (source, destination) = (self.source.port(), self.destination.port());
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let packet = start.ipv4(from, to).ttl(self.ttl).payload(payload);
                let packet = if self.dont_fragment { packet.df() } else { packet };
                match self.protocol {
                    Protocol::Tcp => packet.tcp(source, destination).flags(self.flags).build(),
                    _ => packet.udp(source, destination).build(),
                }
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let packet = start.ipv6(from, to).ttl(self.ttl).payload(payload);
                match self.protocol {
                    Protocol::Tcp => packet.tcp(source, destination).flags(self.flags).build(),
                    _ => packet.udp(source, destination).build(),
                }
            }
            _ => panic!("both ends of a packet are of one family"),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "port {}: {} {} > {}",
            self.by.0, self.protocol, self.source, self.destination
        )?;
        if self.protocol == Protocol::Tcp {
            let names =
                [(tcp::SYN, "SYN"), (tcp::ACK, "ACK"), (tcp::FIN, "FIN"), (tcp::RST, "RST")];
            let set: Vec<_> =
                names.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| *name).collect();
            write!(out, " [{}]", set.join(" "))?;
        }
        write!(out, " ttl {} payload {}", self.ttl, self.payload)?;
        if self.dont_fragment { write!(out, " DF") } else { Ok(()) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Apply(command) => write_command(command, out),
            Step::Sysctl(name, value) => write!(out, "sysctl {name}={value}"),
            Step::Packet(packet) => packet.fmt(out),
            Step::Error(error) => {
                let IcmpError { by, sender, to, message_type, ttl, about } = error;
                let about = format!("{} {} > {}", about.protocol, about.source, about.destination);
                write!(out, "port {}: {sender} > {to} ICMP type {message_type} ", by.0)?;
                write!(out, "about {about}, ttl {ttl}")
            }
            Step::Wait(ticks) => {
                write!(out, "wait {:.3} s", f64::from(*ticks) * site::TICK_MS as f64 / 1000.0)
            }
        }
    }
}

fn write_command(command: &Command, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match command {
        Command::AddService(spec) => write!(out, "-A {}", Service(spec)),
        Command::EditService(spec) => write!(out, "-E {}", Service(spec)),
        Command::DeleteService(key) => write!(out, "-D {key}"),
        Command::Flush => write!(out, "-C"),
        Command::AddDestination { service, destination } => {
            write!(out, "-a {}", Destination(service, destination))
        }
        Command::EditDestination { service, destination } => {
            write!(out, "-e {}", Destination(service, destination))
        }
        Command::DeleteDestination { service, at } => write!(out, "-d {service} -r {at}"),
        Command::Zero(Some(key)) => write!(out, "-Z {key}"),
        Command::Zero(None) => write!(out, "-Z"),
        Command::SetTimeouts(to) => write!(out, "--set {} {} {}", to.tcp, to.tcp_fin, to.udp),
        other => write!(out, "{other:?}"),
    }
}

struct Service<'a>(&'a ServiceSpec);

impl fmt::Display for Service<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} -s {}", self.0.key, self.0.scheduler.name())?;
        if !self.0.scheduler_flags.is_empty() {
            write!(out, " -b {:?}", self.0.scheduler_flags)?;
        }
        if let Some(Persistence { timeout_s, mask }) = self.0.persistence {
            write!(out, " -p {timeout_s} -M {mask:?}")?;
        }
        if self.0.one_packet { write!(out, " -o") } else { Ok(()) }
    }
}

struct Destination<'a>(&'a ServiceKey, &'a DestinationSpec);

impl fmt::Display for Destination<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.1;
        write!(
            out,
            "{} -r {} {} -w {} -x {} -y {}",
            self.0,
            spec.at,
            spec.method.option(),
            spec.weight,
            spec.upper_threshold,
            spec.lower_threshold
        )
    }
}
