//! Writes a capture file of UDP packets, one for each flow, for a `net_pcap` device to send endlessly.

use clap::Parser;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// UDP packets of many flows to one address, as a pcap file.
#[derive(Parser)]
struct Arguments {
    file: PathBuf,
    #[arg(long, default_value_t = 1024)]
    flows: u32,
    /// Bytes of a frame without its FCS.
    #[arg(long, default_value_t = 60)]
    length: usize,
    #[arg(long, default_value = "10.0.0.100")]
    to: Ipv4Addr,
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// The director's MAC address, e.g. 02:00:00:00:00:01.
    #[arg(long, default_value = "02:00:00:00:00:01", value_parser = mac)]
    mac: [u8; 6],
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let octets: Result<Vec<u8>, _> =
        text.split(':').map(|pair| u8::from_str_radix(pair, 16)).collect();
    octets.ok().and_then(|octets| octets.try_into().ok()).ok_or_else(|| {
        format!(
            "`{text}` is not a MAC address; expected six pairs of hexadecimal digits as 02:00:00:00:00:01"
        )
    })
}

/// Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;
/// Number of ports of each client address.
const PORTS: u32 = 32;
const CLIENTS: u32 = u32::from_be_bytes([77, 0, 0, 1]);

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    if arguments.length < HEADERS {
        return Err(io::Error::other(format!("a frame has at least {HEADERS} bytes")));
    }
    let mut file = BufWriter::new(File::create(&arguments.file)?);
    // Magic number, version 2.4, no time zone, no accuracy, snap length, Ethernet.
    for word in [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 65_535, 1u32] {
        file.write_all(&word.to_ne_bytes())?;
    }
    // The order of flows is unrelated to their addresses.
    let step =
        (1u64..).map(|odd| 2_654_435_761 + 2 * odd).find(|step| coprime(*step, arguments.flows));
    for index in 0..u64::from(arguments.flows) {
        let number = index * step.unwrap_or(1) % u64::from(arguments.flows);
        let frame = frame(&arguments, number as u32);
        for word in [0, 0, frame.len() as u32, frame.len() as u32] {
            file.write_all(&word.to_ne_bytes())?;
        }
        file.write_all(&frame)?;
    }
    file.flush()
}

fn coprime(step: u64, flows: u32) -> bool {
    let (mut left, mut right) = (step, u64::from(flows));
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left == 1
}

fn frame(arguments: &Arguments, number: u32) -> Vec<u8> {
    let mut frame = vec![0; arguments.length];
    frame[..6].copy_from_slice(&arguments.mac);
    frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0xfe, 0xfe, 8, 0]);
    let length = (arguments.length - 14) as u16;
    let ip = &mut frame[14..];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip[8..10].copy_from_slice(&[64, 17]);
    ip[12..16].copy_from_slice(&(CLIENTS + number / PORTS).to_be_bytes());
    ip[16..20].copy_from_slice(&arguments.to.octets());
    let sum = ip[..20].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = sum.sum();
    let sum = (sum >> 16) + (sum & 0xffff);
    ip[10..12].copy_from_slice(&(!((sum >> 16) + sum) as u16).to_be_bytes());
    let port = 10_000 + (number % PORTS) as u16;
    ip[20..22].copy_from_slice(&port.to_be_bytes());
    ip[22..24].copy_from_slice(&arguments.port.to_be_bytes());
    // No UDP checksum (RFC 768).
    ip[24..26].copy_from_slice(&(length - 20).to_be_bytes());
    frame
}
