//! Writes a capture file with many UDP flows to one virtual service, for net_pcap to replay endlessly.

use clap::Parser;
use director::model::MacAddress;
use director::testing::frame;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a capture of UDP flows to one service, one 64-octet frame each.
#[derive(Debug, Parser)]
#[command(name = "frames")]
struct Arguments {
    file: PathBuf,
    #[arg(long, default_value_t = 1024)]
    flows: u32,
    #[arg(long, default_value = "10.0.0.100:80")]
    service: SocketAddrV4,
    /// The director's MAC address; default: that of a net_pcap port
    #[arg(long, default_value = "02:70:63:61:70:00")]
    mac: MacAddress,
}

/// Header of classic libpcap: microseconds, this machine's byte order, Ethernet.
const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
const LONGEST: u32 = 65_535;
const ETHERNET: u32 = 1;

/// Bytes of a frame without its FCS.
const FRAME: usize = 60;
/// Number of source ports of one client address.
const PORTS: u32 = 1 << 14;

fn main() -> ExitCode {
    match write(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("frames: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(arguments: &Arguments) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(&arguments.file)?);
    file.write_all(&MAGIC.to_ne_bytes())?;
    file.write_all(&VERSION.map(u16::to_ne_bytes).concat())?;
    for field in [0, 0, LONGEST, ETHERNET] {
        file.write_all(&field.to_ne_bytes())?;
    }
    for flow in 0..arguments.flows {
        let client = Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 1).to_bits() + flow / PORTS);
        let port = (1024 + flow % PORTS) as u16;
        let mut bytes = frame()
            .macs(arguments.mac.0, [2, 0, 0, 0, 0xfe, 0xfe])
            .ipv4(client, *arguments.service.ip())
            .udp(port, arguments.service.port())
            .build();
        bytes.resize(FRAME.max(bytes.len()), 0);
        let length = bytes.len() as u32;
        for field in [0, 0, length, length] {
            file.write_all(&field.to_ne_bytes())?;
        }
        file.write_all(&bytes)?;
    }
    file.flush()
}
