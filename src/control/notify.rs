//! The service manager's notification socket (sd_notify(3)): a datagram for each message, never waited for.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the service manager; without one, messages go nowhere.
#[derive(Debug, Default)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// By the environment variable `NOTIFY_SOCKET`. One that cannot be reached counts as none.
    pub fn from_environment() -> Self {
        Notifier(env::var("NOTIFY_SOCKET").ok().and_then(|name| connect(&name)))
    }

    /// Sends one message, such as `READY=1`. One that cannot be sent at once is lost.
    pub fn send(&self, message: &str) {
        if let Some(socket) = &self.0 {
            let _ = socket.send(message.as_bytes());
        }
    }
}

#[cfg(test)]
impl Notifier {
    /// Messages go to the other end of a pair.
    pub(super) fn to_test() -> (Self, UnixDatagram) {
        let (own, manager) = UnixDatagram::pair().unwrap();
        manager.set_nonblocking(true).unwrap();
        (Notifier(Some(own)), manager)
    }
}

/// A name that starts with `@` is an abstract one.
fn connect(name: &str) -> Option<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(name).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect_addr(&address).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier(connect(path.to_str().unwrap()));
        notifier.send("READY=1");
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1");
        drop(manager);
        notifier.send("WATCHDOG=1");
        assert!(connect("/nowhere/notify").is_none());
    }
}
