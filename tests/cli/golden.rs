//! Recorded output of a real ipvsadm, compared with the output for a table built by the same commands.

use super::model::Table;
use director::model::{DestinationAddress, Protocol, ServiceKey};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// One command of a transcript and the recorded output of ipvsadm.
pub struct Step {
    pub line: String,
    pub input: String,
    pub status: i64,
    pub output: String,
    pub errors: String,
}

/// A step that ipvsadm can observe.
pub enum Event {
    Command(Step),
    /// A packet was received as `sent` and forwarded as `forwarded`.
    Packet {
        sent: Vec<u8>,
        forwarded: Vec<u8>,
    },
}

/// Every recorded transcript.
pub fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the transcripts")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".json").map(str::to_owned))
        .filter(|name| name != "topology")
        .collect();
    names.sort();
    names
}

/// The steps of `tests/golden/<name>.json`.
pub fn read(name: &str) -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.json"));
    let transcript: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect(name)).expect(name);
    transcript["steps"].as_array().expect("steps").iter().filter_map(event).collect()
}

fn event(step: &Value) -> Option<Event> {
    let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
    if step["ipvsadm"].is_string() {
        return Some(Event::Command(Step {
            line: text("ipvsadm"),
            input: text("stdin"),
            status: step["rc"].as_i64()?,
            output: text("stdout"),
            errors: text("stderr"),
        }));
    }
    let sent = frame(&step["send"])?;
    let forwarded = frame(&step["out"][0])?;
    Some(Event::Packet { sent, forwarded })
}

fn frame(value: &Value) -> Option<Vec<u8>> {
    let digits = value["frame"].as_str()?;
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
    Some((0..digits.len()).step_by(2).map(byte).collect())
}

/// Counts a translated TCP/IPv4 SYN; `false` for other packets.
pub fn count(table: &mut Table, sent: &[u8], forwarded: &[u8]) -> bool {
    const ETHERNET: usize = 14;
    let is_syn = |frame: &[u8]| {
        frame.len() >= ETHERNET + 40
            && frame[12..15] == [8, 0, 0x45]
            && frame[ETHERNET + 9] == Protocol::Tcp.number()
            && frame[ETHERNET + 33] == 2
    };
    if !is_syn(sent) || !is_syn(forwarded) {
        return false;
    }
    let end = |frame: &[u8], address: usize, port: usize| {
        let octets: [u8; 4] = std::array::from_fn(|index| frame[ETHERNET + address + index]);
        let port = u16::from_be_bytes([frame[ETHERNET + port], frame[ETHERNET + port + 1]]);
        (IpAddr::V4(Ipv4Addr::from(octets)), port)
    };
    let (address, port) = end(sent, 16, 22);
    let service = ServiceKey::Address { protocol: Protocol::Tcp, address, port };
    let client = SocketAddr::from(end(sent, 12, 20));
    let (address, port) = end(forwarded, 16, 22);
    let bytes = u64::from(u16::from_be_bytes([sent[ETHERNET + 2], sent[ETHERNET + 3]]));
    table.connect(&service, client, DestinationAddress { address, port }, bytes);
    true
}
