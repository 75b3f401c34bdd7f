//! Decapsulates the director's tunnel packets on a server whose kernel cannot: passes the inner packets of IPIP, 6in4,
//! GRE and GUE to the kernel through a TUN device.

use clap::Parser;
use director_lab::tunnel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::ExitCode;

/// The longest packet with its outer header.
const LONGEST_PACKET: usize = 66_000;

/// Hand the inner packets of IPIP, 6in4, GRE and GUE to the kernel through a TUN device.
#[derive(Debug, Parser)]
#[command(name = "decap")]
struct Arguments {
    /// Name of the TUN device to create
    #[arg(long, default_value = "decap0")]
    tun: String,
    /// UDP port of Generic UDP Encapsulation
    #[arg(long, default_value_t = 6080)]
    gue_port: u16,
}

/// One kind of tunnel: its socket, and the function that removes its headers.
struct Mouth {
    socket: Socket,
    unwrap: fn(&[u8]) -> Option<&[u8]>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("decap: {error}; it needs root and the kernel's tun module");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<std::convert::Infallible> {
    let mut mouths = open_mouths(arguments.gue_port)?;
    let mut device = tunnel::make_device(&arguments.tun)?;
    eprintln!("decap: ready on {}", arguments.tun);
    let mut packet = vec![0; LONGEST_PACKET];
    loop {
        let mut ready: Vec<PollFd> = mouths
            .iter()
            .map(|mouth| PollFd::new(mouth.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        poll(&mut ready, PollTimeout::NONE)?;
        let readable: Vec<bool> = ready.iter().map(|fd| fd.any() == Some(true)).collect();
        for (mouth, _) in mouths.iter_mut().zip(readable).filter(|(_, readable)| *readable) {
            drain(mouth, &mut device, &mut packet)?;
        }
    }
}

/// Sockets for IPv4 and, if the machine has it, IPv6 as the outer protocol.
fn open_mouths(gue_port: u16) -> io::Result<Vec<Mouth>> {
    let raw = |domain, protocol: i32, unwrap| {
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(protocol)))?;
        socket.set_nonblocking(true)?;
        io::Result::Ok(Mouth { socket, unwrap })
    };
    let datagram = |domain, address: SocketAddr| {
        let socket = Socket::new(domain, Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        io::Result::Ok(Mouth { socket, unwrap: tunnel::from_gue })
    };
    let mut mouths = vec![
        raw(Domain::IPV4, libc::IPPROTO_IPIP, tunnel::from_ipip)?,
        raw(Domain::IPV4, libc::IPPROTO_IPV6, tunnel::from_ipip)?,
        raw(Domain::IPV4, libc::IPPROTO_GRE, tunnel::from_gre_over_ipv4)?,
        datagram(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, gue_port).into())?,
    ];
    let ipv6 = [
        raw(Domain::IPV6, libc::IPPROTO_IPIP, tunnel::internet_packet),
        raw(Domain::IPV6, libc::IPPROTO_IPV6, tunnel::internet_packet),
        raw(Domain::IPV6, libc::IPPROTO_GRE, tunnel::from_gre),
        datagram(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, gue_port).into()),
    ];
    mouths.extend(ipv6.into_iter().flatten());
    Ok(mouths)
}

/// Passes on all packets that wait on one socket.
fn drain(mouth: &mut Mouth, device: &mut File, packet: &mut [u8]) -> io::Result<()> {
    loop {
        let length = match mouth.socket.read(packet) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(inner) = (mouth.unwrap)(&packet[..length]) else { continue };
        match device.write_all(inner) {
            // A device that is down, or a packet that it refuses, loses only that packet.
            Ok(()) | Err(_) => {}
        }
    }
}
