//! State of the kernel interface that a device works on.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// True if the interface exists, is up and has a carrier (`IFF_UP`, `IFF_RUNNING`). A system call: not for the packet path.
pub fn is_running(interface: &str) -> bool {
    const WANTED: libc::c_short = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    flags(interface).is_some_and(|flags| flags & WANTED == WANTED)
}

/// `None`: no such interface.
fn flags(interface: &str) -> Option<libc::c_short> {
    // SAFETY: all zeroes are a valid request: an empty name.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last octet stays zero and ends the name.
    if interface.len() >= request.ifr_name.len() {
        return None;
    }
    for (place, octet) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *place = octet as libc::c_char;
    }
    // SAFETY: a new socket disturbs nothing.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return None;
    }
    // SAFETY: the descriptor was just opened and has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: the request is of the type that this call reads and writes.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &mut request) };
    // SAFETY: every bit pattern is a valid value of the flags; a call that succeeded has filled them in.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    (outcome == 0).then_some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_is_not_running() {
        assert!(flags("lo").is_some());
        assert!(!is_running("no-such-if"));
        assert!(!is_running("a-name-longer-than-any-interface"));
        assert!(!is_running(""));
    }
}
