//! Why a kernel interface cannot be made: one sentence each, with the mending command.

use std::io;
use thiserror::Error;

/// A kernel interface cannot be made or set up.
#[derive(Debug, Error)]
pub enum KernelPortError {
    #[error(
        "kernel interface {name}: an interface of this name exists already; remove it (ip link delete {name}) or give port.kernel another name"
    )]
    NameTaken { name: String },
    #[error("kernel interface {name}: this kernel has no TAP devices; load them (modprobe tun)")]
    NoTun { name: String },
    #[error(
        "kernel interface {name}: not permitted; run directord as root or with the capability CAP_NET_ADMIN"
    )]
    NotPermitted { name: String },
    #[error("kernel interface {name}: {what}: {source}")]
    Failed { name: String, what: &'static str, source: io::Error },
}

impl KernelPortError {
    /// The sentence for an error of the system.
    pub(super) fn of(name: &str, what: &'static str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => KernelPortError::NotPermitted { name },
            _ => KernelPortError::Failed { name, what, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_name_the_interface() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
            let text = KernelPortError::of("wan0", "MTU", kind.into()).to_string();
            assert!(text.starts_with("kernel interface wan0: "), "{text}");
        }
    }
}
