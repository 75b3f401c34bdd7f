//! Random virtual services, and the commands that create them.

use super::Random;
use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    DirectRouting,
    Tunnel,
    Nat,
}

/// A virtual service and its destinations, whether or not they exist at the moment.
#[derive(Debug, Clone)]
pub struct Service {
    pub protocol: Protocol,
    pub vip: IpAddr,
    /// The clients' destination port; a persistent service with port 0 takes every port.
    pub port: u16,
    /// The firewall mark used instead of protocol, address and port.
    pub mark: Option<u32>,
    pub any_port: bool,
    pub scheduler: String,
    pub options: String,
    pub sip: bool,
    pub destinations: Vec<Destination>,
}

#[derive(Debug, Clone)]
pub struct Destination {
    pub address: IpAddr,
    pub port: u16,
    pub method: Method,
    pub options: String,
}

const SCHEDULERS: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "dh", "sh", "mh", "lblc", "lblcr"];

/// The real servers: first those on the link, then the far ends of tunnels.
const SERVERS: [&str; 6] =
    ["192.168.10.11", "192.168.10.12", "192.168.10.13", "192.168.10.14", "10.0.0.21", "10.0.0.22"];
const SERVERS_IPV6: [&str; 5] =
    ["fd00:b::11", "fd00:b::12", "fd00:b::13", "fd00:a::21", "fd00:a::22"];
const TUNNEL_ENDS: [&str; 4] = ["172.16.5.6", "172.16.5.7", "192.168.10.15", "10.0.0.23"];

fn address(text: &str) -> IpAddr {
    text.parse().expect("a valid address")
}

/// An address as written in a command.
pub fn written(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

impl Service {
    /// Generates service `number` of a scenario; no two have the same address, protocol and port.
    pub fn draw(random: &mut Random, number: usize) -> Service {
        let ipv6 = random.chance(30);
        let protocol =
            random.weighted(&[(5, Protocol::Tcp), (4, Protocol::Udp), (1, Protocol::Sctp)]);
        // Most services share one address, so that their flows meet.
        let vip = match (ipv6, random.chance(70)) {
            (false, true) => "10.0.0.100",
            (false, false) => "10.0.0.101",
            (true, true) => "fd00:a::100",
            (true, false) => "fd00:a::101",
        };
        let port = [80, 53, 5060, 8000][number % 4];
        let mark = random.chance(15).then_some(7 + number as u32);
        let sip = protocol == Protocol::Udp && mark.is_none() && random.chance(15);
        let mut service = Service {
            protocol,
            vip: address(vip),
            port,
            mark,
            any_port: false,
            scheduler: random.pick(&SCHEDULERS).to_owned(),
            options: String::new(),
            sip,
            destinations: Vec::new(),
        };
        service.draw_options(random);
        let method = match protocol {
            // One-packet scheduling has no replies through NAT.
            Protocol::Udp if service.options.contains("-o") => Method::DirectRouting,
            _ => random.weighted(&[
                (4, Method::DirectRouting),
                (3, Method::Tunnel),
                (5, Method::Nat),
            ]),
        };
        let count = random.weighted(&[(3, 1), (4, 2), (3, 3), (1, 4)]);
        for at in 0..count {
            let other = random.pick(&[Method::DirectRouting, Method::Tunnel, Method::Nat]);
            let method = if random.chance(85) { method } else { other };
            service.destinations.push(service.draw_destination(random, at, method));
        }
        service
    }

    /// Generates scheduler flags, persistence and one-packet scheduling.
    pub fn draw_options(&mut self, random: &mut Random) {
        let mut options = match self.scheduler.as_str() {
            "sh" => random.pick(&["", " -b sh-port", " -b sh-fallback", " -b sh-fallback,sh-port"]),
            "mh" => random.pick(&["", " -b mh-port", " -b mh-fallback", " -b mh-fallback,mh-port"]),
            _ => "",
        }
        .to_owned();
        let persistent = self.sip || random.chance(25);
        if persistent {
            options += random.pick(&[" -p", " -p 100", " -p 360", " -p 4"]);
            let mask = if self.vip.is_ipv6() { " -M 64" } else { " -M 255.255.255.0" };
            options += if random.chance(25) { mask } else { "" };
        }
        if self.sip {
            options += " --pe sip";
        } else if self.protocol == Protocol::Udp && random.chance(12) {
            options += " -o";
        }
        self.any_port = persistent && self.mark.is_none() && !self.sip && random.chance(15);
        self.options = options;
    }

    fn draw_destination(&self, random: &mut Random, at: usize, method: Method) -> Destination {
        let mut options = String::new();
        let place = match (method, self.vip.is_ipv6()) {
            (Method::Tunnel, ipv6) => {
                options += random.weighted(&[
                    (4, ""),
                    (2, " --tun-type gre"),
                    (1, " --tun-type gre --tun-csum"),
                    (2, " --tun-type gue --tun-port 6080"),
                    (1, " --tun-type gue --tun-port 6080 --tun-csum"),
                ]);
                if ipv6 { SERVERS_IPV6[at % 3] } else { TUNNEL_ENDS[at % TUNNEL_ENDS.len()] }
            }
            (_, false) => SERVERS[at % SERVERS.len()],
            (_, true) => SERVERS_IPV6[at % SERVERS_IPV6.len()],
        };
        let place =
            if method == Method::Nat && place.starts_with("10.") { SERVERS[3] } else { place };
        let weight = random.weighted(&[(5, ""), (2, " -w 2"), (2, " -w 5"), (1, " -w 0")]);
        options += weight;
        options += random.weighted(&[(9, ""), (1, " -x 2"), (1, " -x 4 -y 2")]);
        let own_port = method == Method::Nat && !self.any_port && self.mark.is_none();
        let port = match self.mark.is_some() || self.any_port {
            true => 0,
            false if own_port && random.chance(40) => 8080,
            false => self.port,
        };
        Destination { address: address(place), port, method, options }
    }

    /// The service as written in a command: `-t 10.0.0.100:80`.
    pub fn key(&self) -> String {
        let port = if self.any_port { 0 } else { self.port };
        match (self.mark, self.protocol) {
            (Some(mark), _) if self.vip.is_ipv6() => format!("-f {mark} -6"),
            (Some(mark), _) => format!("-f {mark}"),
            (None, Protocol::Tcp) => format!("-t {}:{port}", written(self.vip)),
            (None, Protocol::Udp) => format!("-u {}:{port}", written(self.vip)),
            (None, Protocol::Sctp) => format!("--sctp-service {}:{port}", written(self.vip)),
        }
    }

    /// `-A` or `-E` with its arguments.
    pub fn command(&self, verb: &str) -> String {
        format!("{verb} {} -s {}{}", self.key(), self.scheduler, self.options)
    }

    /// The rule that sets its mark on the recorded machine.
    pub fn mark_rules(&self) -> Vec<String> {
        let Some(mark) = self.mark else { return Vec::new() };
        let family = if self.vip.is_ipv6() { "ip6" } else { "ip" };
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        vec![
            format!("nft add table {family} m"),
            format!(
                "nft 'add chain {family} m pre {{ type filter hook prerouting priority mangle ; }}'"
            ),
            format!(
                "nft add rule {family} m pre {family} daddr {} {protocol} dport {} meta mark set {mark}",
                self.vip, self.port
            ),
        ]
    }
}

impl Destination {
    pub fn key(&self) -> String {
        match self.port {
            // Without a port the command uses the service's; brackets need a port.
            0 => format!("-r {}", self.address),
            port => format!("-r {}:{port}", written(self.address)),
        }
    }

    /// `-a` or `-e` with its arguments.
    pub fn command(&self, verb: &str, service: &Service) -> String {
        let method = match self.method {
            Method::DirectRouting => "-g",
            Method::Tunnel => "-i",
            Method::Nat => "-m",
        };
        format!("{verb} {} {} {method}{}", service.key(), self.key(), self.options)
    }
}
