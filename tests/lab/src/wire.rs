//! Raw frames on an interface, and a network namespace that ends with its thread.
//!
//! `unsafe` is needed here because the address of a packet socket is a C structure.

use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::mem::size_of;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;

/// Longer than any frame, jumbo frames included.
const LONGEST_FRAME: usize = 16 * 1024;

/// Moves the calling thread and the processes it starts later into a new network namespace, which is removed with the
/// last of them.
///
/// # Errors
/// One sentence that names what is missing, usually root.
pub fn enter_new_namespace() -> Result<(), String> {
    enter_new_namespace_with_ipv6()?;
    for setting in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{setting}/disable_ipv6");
        // A kernel without IPv6 needs no setting.
        let _ = std::fs::write(path, "1");
    }
    Ok(())
}

/// [`enter_new_namespace`] with IPv6 enabled on every interface.
///
/// # Errors
/// One sentence that names what is missing, usually root.
pub fn enter_new_namespace_with_ipv6() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| {
        format!("cannot make a network namespace: {error}; run as root (or with sudo)")
    })
}

/// Creates the interface pair `name` and `name-peer`; the kernel answers nothing on either.
///
/// # Errors
/// The output of `ip`.
pub fn make_pair(name: &str, mac: &str) -> Result<(), String> {
    let peer = peer_of(name);
    run_ip(&["link", "add", name, "address", mac, "type", "veth", "peer", "name", &peer])?;
    for end in [name, &peer] {
        run_ip(&["link", "set", end, "arp", "off"])?;
        run_ip(&["link", "set", end, "addrgenmode", "none"])?;
        run_ip(&["link", "set", end, "up"])?;
    }
    Ok(())
}

/// The name of the other end of `make_pair(name)`.
pub fn peer_of(name: &str) -> String {
    format!("{name}-peer")
}

fn run_ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| format!("cannot run ip: {error}; install iproute2"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {}: {}", arguments.join(" "), said.trim()))
}

/// A packet socket on one interface: it receives every frame that arrives and sends raw frames.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
}

impl Wire {
    /// # Errors
    /// One sentence that names the interface.
    pub fn open(interface: &str) -> Result<Wire, String> {
        let told = |error: io::Error| format!("cannot open a raw socket on {interface}: {error}");
        let every_protocol = (libc::ETH_P_ALL as u16).to_be();
        let socket = Socket::new(Domain::PACKET, Type::RAW, None).map_err(told)?;
        let address = interface_address(interface, every_protocol).map_err(told)?;
        socket.bind(&address).map_err(told)?;
        socket.set_nonblocking(true).map_err(told)?;
        socket.set_recv_buffer_size(4 << 20).map_err(told)?;
        Ok(Wire { socket })
    }

    /// # Errors
    /// When the interface is gone or down.
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.socket.write_all(frame)
    }

    /// The next frame, if one has arrived.
    ///
    /// # Errors
    /// When the interface is gone or down.
    pub fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LONGEST_FRAME];
        match self.socket.read(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn interface_address(interface: &str, protocol: u16) -> io::Result<SockAddr> {
    let name = CString::new(interface)?;
    // SAFETY: `name` is a string that ends in NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    let init = |storage: *mut socket2::SockAddrStorage, length: *mut libc::socklen_t| {
        let address = storage.cast::<libc::sockaddr_ll>();
        // SAFETY: `try_init` passes zeroed storage that is large and aligned enough for any socket address, with its
        // length.
        unsafe {
            (*address).sll_family = libc::AF_PACKET as u16;
            (*address).sll_protocol = protocol;
            (*address).sll_ifindex = index as i32;
            *length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        }
        Ok(())
    };
    // SAFETY: `init` fills in a complete `sockaddr_ll` and its length.
    let ((), address) = unsafe { SockAddr::try_init(init) }?;
    Ok(address)
}
