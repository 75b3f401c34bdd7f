//! Records scenarios: sends their frames through IPVS of this machine's kernel and stores the results.
//!
//! It runs in the machine that `guest` boots. Each scenario has two namespaces: the director with the topology's
//! addresses and routes, and one with the far ends of its interfaces, which answers nothing.

use crate::frame;
use crate::play::split_words;
use crate::topology::Topology;
use crate::transcript::{Sent, Settings, Step, Transcript};
use crate::wire::{self, Wire};
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Silence after a frame that ends its step. The kernel answers a frame while it is sent.
const QUIET: Duration = Duration::from_millis(12);
/// Time for the kernel's own messages about new interfaces.
const SETTLE: Duration = Duration::from_millis(50);

/// Settings of the director's namespace before its interfaces exist. IPv4 ICMP errors stay limited to one a second for
/// each host, as in the director.
const EARLY: [(&str, &str); 6] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/icmp/ratelimit", "0"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
];
/// Settings of each interface, and of `all`.
const OF_INTERFACE: [(&str, &str); 3] = [
    ("ipv4/conf/{}/send_redirects", "0"),
    ("ipv4/conf/{}/rp_filter", "0"),
    ("ipv6/conf/{}/accept_ra", "0"),
];

/// Fills in the kernel's results of each step.
///
/// # Errors
/// One sentence that names the part of the network that cannot be created.
pub fn record(topology: &Topology, scenario: &Transcript) -> Result<Transcript, String> {
    let mut wires = make_network(topology)?;
    for (name, value) in &scenario.sysctl.0 {
        set(&format!("net/ipv4/vs/{name}"), value)?;
    }
    for line in &scenario.shell {
        run("sh", &["-c".to_owned(), line.clone()], "")?;
    }
    listen(&mut wires, SETTLE)?;
    let mut transcript = scenario.clone();
    transcript.at.clear();
    let start = Instant::now();
    let now = || (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    for step in &mut transcript.steps {
        let begin = now();
        record_step(&mut wires, step)?;
        // In an emulated machine a program starts slowly: it asks the kernel shortly before it ends.
        let is_command = matches!(step, Step::Command { .. });
        transcript.at.push(if is_command { now() } else { begin });
    }
    Ok(transcript)
}

fn record_step(wires: &mut BTreeMap<String, Wire>, step: &mut Step) -> Result<(), String> {
    match step {
        Step::Send { send, out } => {
            transmit(wires, send)?;
            *out = listen(wires, QUIET)?;
        }
        Step::Burst { burst, out } => {
            burst.iter().try_for_each(|sent| transmit(wires, sent))?;
            *out = listen(wires, QUIET)?;
        }
        Step::Sleep { sleep, out } => *out = listen(wires, Duration::from_secs_f64(*sleep))?,
        Step::Sysctl { sysctl: Settings(pairs) } => {
            for (name, value) in pairs {
                set(&format!("net/ipv4/vs/{name}"), value)?;
            }
        }
        Step::Command { ipvsadm, stdin, rc, stdout, stderr } => {
            let answer = run("ipvsadm", &split_words(ipvsadm), stdin.as_deref().unwrap_or(""))?;
            (*rc, *stdout, *stderr) = answer;
        }
    }
    Ok(())
}

fn transmit(wires: &mut BTreeMap<String, Wire>, sent: &Sent) -> Result<(), String> {
    let Sent { port, frame } = sent;
    let wire = wires.get_mut(port).ok_or_else(|| format!("there is no port {port}"))?;
    wire.send(frame).map_err(|error| format!("{port}: {error}"))
}

fn make_network(topology: &Topology) -> Result<BTreeMap<String, Wire>, String> {
    let here = || File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string());
    let enter = |namespace: &File| {
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| format!("setns: {error}"))
    };
    wire::enter_new_namespace()?;
    let outside = here()?;
    wire::enter_new_namespace_with_ipv6()?;
    let inside = here()?;
    for (name, value) in EARLY {
        set(name, value)?;
    }
    let place = format!("/proc/{}/fd/{}", std::process::id(), outside.as_raw_fd());
    let pairs = topology.ports.iter().map(|(name, port)| {
        let peer = wire::peer_of(name);
        format!(
            "link add {name} address {} type veth peer name {peer} address {} netns {place}",
            port.mac, port.peer_mac
        )
    });
    ip(&pairs.collect::<Vec<_>>())?;
    enter(&outside)?;
    ip(&topology
        .ports
        .keys()
        .map(|name| format!("link set {} up", wire::peer_of(name)))
        .collect::<Vec<_>>())?;
    let open = |name: &String| Ok((name.clone(), Wire::open(&wire::peer_of(name))?));
    let wires = topology.ports.keys().map(open).collect::<Result<_, String>>()?;
    enter(&inside)?;
    for name in topology.ports.keys().map(String::as_str).chain(["all"]) {
        for (setting, value) in OF_INTERFACE {
            set(&format!("net/{}", setting.replace("{}", name)), value)?;
        }
    }
    ip(&inside_lines(topology))?;
    for name in topology.ports.keys() {
        // Frames leave with complete checksums, as on a real link.
        let words = ["-K", name, "tx", "off", "gso", "off", "tso", "off", "gro", "off"];
        run("ethtool", &words.map(str::to_owned), "")?;
    }
    Ok(wires)
}

/// Sets the director's addresses, neighbours and routes.
fn inside_lines(topology: &Topology) -> Vec<String> {
    let mut lines: Vec<String> =
        topology.ports.keys().map(|name| format!("link set {name} up")).collect();
    lines.push("link set lo up".to_owned());
    let address = |address: &String, name: &str| {
        let at_once = if address.contains(':') { " nodad" } else { "" };
        format!("addr add {address} dev {name}{at_once}")
    };
    for (name, port) in &topology.ports {
        lines.extend(port.addrs.iter().map(|own| address(own, name)));
    }
    lines.extend(topology.vips.iter().map(|vip| address(vip, "lo")));
    for (name, port) in &topology.ports {
        let neighbour = |(address, mac): (&std::net::IpAddr, &String)| {
            format!("neigh replace {address} lladdr {mac} dev {name} nud permanent")
        };
        lines.extend(port.neigh.iter().map(neighbour));
    }
    lines.extend(topology.routes.iter().map(|route| format!("route add {route}")));
    lines
}

fn ip(lines: &[String]) -> Result<(), String> {
    let (status, _, stderr) = run("ip", &["-batch".to_owned(), "-".to_owned()], &lines.join("\n"))?;
    if status == 0 { Ok(()) } else { Err(format!("ip: {stderr}")) }
}

fn set(name: &str, value: &str) -> Result<(), String> {
    fs::write(format!("/proc/sys/{name}"), value)
        .map_err(|error| format!("{name}={value}: {error}"))
}

/// Exit status, standard output and standard error of a program.
fn run(program: &str, words: &[String], stdin: &str) -> Result<(i32, String, String), String> {
    let told = |error: std::io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(told)?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that exits before it has read all input explains why in its output.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let output = child.wait_with_output().map_err(told)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr)))
}

/// All frames from the kernel until it is silent for `quiet`, except its own housekeeping.
fn listen(wires: &mut BTreeMap<String, Wire>, quiet: Duration) -> Result<Vec<Sent>, String> {
    let mut heard = Vec::new();
    let mut end = Instant::now() + quiet;
    loop {
        for (port, wire) in wires.iter_mut() {
            while let Some(frame) = wire.receive().map_err(|error| format!("{port}: {error}"))? {
                if frame::is_housekeeping(&frame) {
                    continue;
                }
                heard.push(Sent { port: port.clone(), frame });
                end = Instant::now() + quiet.min(QUIET);
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(heard);
        }
        thread::sleep(left.min(Duration::from_millis(2)));
    }
}
