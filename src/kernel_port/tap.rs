//! A TAP device: an Ethernet interface of the host whose other end is this process.

use super::error::KernelPortError;
use super::pump::{Device, SendError};
use rustix::net::netdevice::name_to_index;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

pub(super) struct Tap {
    tap: tappers::Tap,
    /// The host's number of the interface.
    pub(super) index: u32,
}

impl Tap {
    /// Makes the device. It is down and has a random MAC address.
    pub(super) fn create(name: &str) -> Result<Self, KernelPortError> {
        let named = |what| move |source| KernelPortError::of(name, what, source);
        let interface = tappers::Interface::new(name).map_err(named("name"))?;
        if index_of(name).is_ok() {
            return Err(KernelPortError::NameTaken { name: name.to_owned() });
        }
        let mut tap =
            tappers::Tap::new_named(interface).map_err(|error| match error.raw_os_error() {
                Some(libc::EBUSY | libc::EEXIST) => {
                    KernelPortError::NameTaken { name: name.to_owned() }
                }
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                    KernelPortError::NoTun { name: name.to_owned() }
                }
                _ => KernelPortError::of(name, "TAP device", error),
            })?;
        tap.set_nonblocking(true).map_err(named("TAP device"))?;
        let index = index_of(name).map_err(named("index"))?;
        Ok(Tap { tap, index })
    }
}

fn index_of(name: &str) -> io::Result<u32> {
    // Any socket serves: it names the network namespace.
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    Ok(name_to_index(&socket, name)?)
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }
}

impl Device for Tap {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.tap.recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) => match error.raw_os_error() {
                // Nothing waits, or the interface is down.
                Some(libc::EAGAIN | libc::EINTR | libc::EIO | libc::ENETDOWN) => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), SendError> {
        match self.tap.send(frame) {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.raw_os_error() {
                Some(libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::EBADF) => {
                    SendError::Lost(error)
                }
                _ => SendError::Refused,
            }),
        }
    }
}
