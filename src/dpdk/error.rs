//! Errors of DPDK, with its own message and the command that mends the cause.

use std::ffi::CStr;
use std::fmt;

/// Why a call into DPDK failed. Each error prints as one line that ends with advice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "DPDK was initialised in this process before, which is possible only once; restart directord"
    )]
    AlreadyInitialised,

    #[error(
        "no free hugepages; run `echo 512 > \
         /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`, or set no_huge = true for a trial"
    )]
    NoHugepages,

    #[error(
        "{wanted_mb} MB of hugepages are wanted and {free_mb} MB are free; run `echo {pages} > \
         /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`, or lower memory_mb"
    )]
    FewHugepages { wanted_mb: u64, free_mb: u64, pages: u64 },

    #[error(
        "a director with the file prefix {file_prefix:?} is already running; stop it, or set \
         another file_prefix"
    )]
    AlreadyRunning { file_prefix: String },

    #[error("{what}: permission denied; run it as root: `sudo directord`")]
    Permission { what: String },

    #[error("no device {device}: {why}")]
    NoDevice { device: String, why: String },

    #[error("device {device} is in use by another port of this director; name it once only")]
    DeviceInUse { device: String },

    #[error("{what} {asked} of device {device} is not possible; allowed is {allowed}")]
    Setting { device: String, what: &'static str, asked: u64, allowed: String },

    #[error("{what} {text:?} holds a NUL byte; remove it")]
    NulByte { what: &'static str, text: String },

    #[error(
        "core {core} does not exist, or this process may not use it; check with `nproc` and `taskset -p $$`"
    )]
    NoCore { core: usize },

    #[error("{what}: {errno}; {}", errno.advice())]
    Call { what: String, errno: Errno },
}

impl Error {
    /// The error of a call that returns a negative errno.
    pub(super) fn returned(what: impl Into<String>, outcome: i32) -> Error {
        Error::new(what.into(), Errno(outcome.saturating_abs()))
    }

    /// The error of a call that leaves its reason in `rte_errno`.
    pub(super) fn last(what: impl Into<String>) -> Error {
        Error::new(what.into(), Errno::last())
    }

    fn new(what: String, errno: Errno) -> Error {
        match errno.0 {
            libc::EACCES | libc::EPERM => Error::Permission { what },
            _ => Error::Call { what, errno },
        }
    }
}

/// Zero or above passes as the value; below is an errno.
pub(super) fn check(outcome: i32, what: impl FnOnce() -> String) -> super::Result<i32> {
    if outcome < 0 { Err(Error::returned(what(), outcome)) } else { Ok(outcome) }
}

/// An errno of the C library or of DPDK's own range; prints as DPDK's text for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// This thread's `rte_errno`.
    pub fn last() -> Errno {
        // SAFETY: reads a thread-local variable of DPDK, which exists before and after the EAL.
        Errno(unsafe { dpdk_sys::director_errno() })
    }

    fn advice(self) -> &'static str {
        match self.0 {
            libc::ENOMEM | libc::ENOSPC | libc::ENOBUFS => {
                "raise memory_mb, and with it the hugepages: `echo 1024 > \
                 /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`"
            }
            libc::ENODEV | libc::ENOENT | libc::ENXIO => {
                "look for the device with `dpdk-devbind.py --status-dev net` and `ip link`"
            }
            libc::EBUSY => "another program holds it; stop that program",
            libc::EEXIST => "the name is taken; choose another",
            libc::ENOTSUP | libc::ENOSYS => "the driver cannot do it; leave the setting out",
            libc::EINVAL | libc::ERANGE => {
                "a value does not suit it; DPDK's own lines on standard error name it"
            }
            libc::EIO => "the device does not answer; reset it or bind it to vfio-pci again",
            _ => "DPDK's own lines on standard error say more",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: rte_strerror takes any number and returns a NUL-terminated string in memory of
        // this thread, valid until its next call; it is printed before that.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        formatter.write_str(&text.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_text_and_advice_make_one_line() {
        let cases = [
            (libc::ENOMEM, "Cannot allocate memory", "raise memory_mb"),
            (libc::ENODEV, "No such device", "dpdk-devbind.py"),
            (libc::EBUSY, "Device or resource busy", "stop that program"),
            (libc::EINVAL, "Invalid argument", "standard error"),
        ];
        for (code, text, advice) in cases {
            let line = Error::returned("mempool director", -code).to_string();
            assert!(line.starts_with(&format!("mempool director: {text}; ")), "{line}");
            assert!(line.contains(advice), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn refused_access_asks_for_root() {
        for code in [libc::EACCES, libc::EPERM] {
            let error = Error::returned("EAL", -code);
            assert_eq!(error, Error::Permission { what: "EAL".into() });
            assert!(error.to_string().contains("sudo directord"));
        }
    }

    #[test]
    fn only_negative_outcomes_are_errors() {
        assert_eq!(check(0, || "x".into()), Ok(0));
        assert_eq!(check(7, || "x".into()), Ok(7));
        assert!(check(-libc::EIO, || "x".into()).is_err());
    }
}
