//! The environment abstraction layer (EAL) of the process. It is started once. It stops when the last of its ports, pools
//! and lcores is dropped.

use super::{EalOptions, Error, Result};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr, c_void};
use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// DPDK's state is static, so its start is too.
static STARTED: AtomicBool = AtomicBool::new(false);

const HUGEPAGE_SIZES: &str = "/sys/kernel/mm/hugepages";

/// The running EAL.
#[derive(Debug)]
pub struct Eal {
    running: Arc<Running>,
}

/// Keeps the EAL running: ports, pools and lcores share it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) worker_cores: Vec<usize>,
    /// Ports that have an owner.
    pub(super) claimed: Mutex<HashSet<u16>>,
    keep_memory: AtomicBool,
    /// Keeps others from the same file prefix; the kernel forgets it with the process.
    _file_prefix: UnixListener,
}

impl Eal {
    /// Starts DPDK. The calling thread becomes the main lcore and is bound to its CPUs.
    ///
    /// # Errors
    /// No hugepages or too few, no permission, another director under the same file prefix, a
    /// missing kernel interface, a core that is not there, or whatever else the EAL refuses.
    pub fn start(options: &EalOptions) -> Result<Eal> {
        let allowed: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        let wanted = options.worker_cores.iter().chain(&options.main_cores);
        if let Some(&core) = wanted.into_iter().find(|core| !allowed.contains(core)) {
            return Err(Error::NoCore { core });
        }
        for (device, interface) in options.kernel_interfaces() {
            find_interface(device, interface)?;
        }
        if !options.no_huge {
            check_hugepages(free_hugepages_mb(), options.memory_mb)?;
        }
        let file_prefix = claim_file_prefix(&options.file_prefix)?;
        initialise(options.arguments(&allowed))?;
        let running = Running {
            worker_cores: options.worker_cores.clone(),
            claimed: Mutex::new(HashSet::new()),
            keep_memory: AtomicBool::new(false),
            _file_prefix: file_prefix,
        };
        Ok(Eal { running: Arc::new(running) })
    }

    /// Adds a device to those that the EAL was started with. The syntax is that of `--vdev` and `--allow`.
    ///
    /// # Errors
    /// The driver does not find or does not take the device.
    pub fn attach(&self, device: &str) -> Result<()> {
        let c_device = CString::new(device)
            .map_err(|_| Error::NulByte { what: "device", text: device.to_owned() })?;
        // SAFETY: the EAL runs; DPDK copies the NUL-terminated string.
        let outcome = unsafe { dpdk_sys::rte_dev_probe(c_device.as_ptr()) };
        super::error::check(outcome, || format!("device {device}")).map(|_| ())
    }

    /// DPDK's name and release: `DPDK 22.11.11`.
    pub fn version() -> String {
        // SAFETY: returns a static NUL-terminated string.
        unsafe { CStr::from_ptr(dpdk_sys::rte_version()) }.to_string_lossy().into_owned()
    }

    /// Runs the work on DPDK's interrupt thread, which was made by the start, soon and once.
    ///
    /// # Errors
    /// DPDK cannot set an alarm, by which the thread is reached.
    pub fn on_interrupt_thread(&self, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let work: Work = Box::new(work);
        let argument = Box::into_raw(Box::new(work));
        // SAFETY: the EAL runs; `run` takes back exactly such a box, once; what it holds is `Send`.
        let outcome = unsafe { dpdk_sys::rte_eal_alarm_set(1, Some(run), argument.cast()) };
        if let Err(error) = super::error::check(outcome, || "alarm".to_owned()) {
            // SAFETY: the alarm was refused, so no other code has the pointer.
            drop(unsafe { Box::from_raw(argument) });
            return Err(error);
        }
        Ok(())
    }

    pub(super) fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running)
    }
}

type Work = Box<dyn FnOnce() + Send>;

extern "C" fn run(argument: *mut c_void) {
    // SAFETY: `on_interrupt_thread` passed the pointer of a boxed `Work` and gave it up.
    let work = unsafe { Box::from_raw(argument.cast::<Work>()) };
    work();
}

impl Running {
    /// Mbufs outlive their pool: DPDK's memory must stay mapped until the process ends.
    pub(super) fn keep_memory(&self) {
        self.keep_memory.store(true, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.keep_memory.load(Ordering::Relaxed) {
            // SAFETY: everything made by DPDK held this value, so all of it is gone.
            unsafe { dpdk_sys::rte_eal_cleanup() };
        }
    }
}

fn initialise(arguments: Vec<String>) -> Result<()> {
    let arguments = arguments
        .into_iter()
        .map(|text| {
            CString::new(text.as_str()).map_err(|_| Error::NulByte { what: "EAL argument", text })
        })
        .collect::<Result<Vec<CString>>>()?;
    if STARTED.swap(true, Ordering::SeqCst) {
        return Err(Error::AlreadyInitialised);
    }
    let count = arguments.len() as i32;
    let mut pointers: Vec<_> = arguments.into_iter().map(CString::into_raw).collect();
    pointers.push(std::ptr::null_mut());
    // DPDK keeps pointers into its arguments for as long as it runs, which is once and to the end.
    let pointers = Vec::leak(pointers);
    // SAFETY: `count` NUL-terminated strings and a null pointer that live for ever; the swap above
    // lets one call through in the life of the process.
    let outcome = unsafe { dpdk_sys::rte_eal_init(count, pointers.as_mut_ptr()) };
    // The reason first: the next call may replace it.
    let result = if outcome < 0 { Err(Error::last("DPDK does not start")) } else { Ok(()) };
    remove_runtime_directory();
    result
}

/// The EAL creates a directory for files even with `--no-shconf` or `--in-memory`, and leaves it. It is removed at once,
/// so that a crash leaves none. A directory with files stays.
fn remove_runtime_directory() {
    // SAFETY: returns a static string, empty until the EAL has chosen the directory.
    let path = unsafe { CStr::from_ptr(dpdk_sys::rte_eal_get_runtime_dir()) };
    // A failure is harmless: an empty directory stays.
    let _ = fs::remove_dir(OsStr::from_bytes(path.to_bytes()));
}

/// Free hugepages of every size on every node, in MiB.
fn free_hugepages_mb() -> u64 {
    let sizes = fs::read_dir(HUGEPAGE_SIZES).into_iter().flatten().flatten();
    let kilobytes = sizes.filter_map(|size| {
        let name = size.file_name().into_string().ok()?;
        let page: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
        Some(page * free.trim().parse::<u64>().ok()?)
    });
    kilobytes.sum::<u64>() / 1024
}

/// Checks the hugepages before the start: the EAL's own error is the same for missing hugepages and missing permission.
fn check_hugepages(free_mb: u64, memory_mb: Option<u32>) -> Result<()> {
    let wanted_mb = u64::from(memory_mb.unwrap_or(0));
    if free_mb == 0 {
        Err(Error::NoHugepages)
    } else if free_mb < wanted_mb {
        Err(Error::FewHugepages { wanted_mb, free_mb, pages: wanted_mb.div_ceil(2) })
    } else {
        Ok(())
    }
}

/// Claims the file prefix with a name in the abstract socket namespace. Only one process can have it, as with a lock file,
/// and no file is left behind.
fn claim_file_prefix(file_prefix: &str) -> Result<UnixListener> {
    let what = || format!("file prefix {file_prefix}");
    let name = format!("director/dpdk/{file_prefix}");
    let listener =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixListener::bind_addr(&address));
    listener.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Error::AlreadyRunning { file_prefix: file_prefix.to_owned() },
        _ => Error::returned(what(), error.raw_os_error().unwrap_or(libc::EINVAL)),
    })
}

/// The driver of a device on a kernel interface fails without a word if there is none.
fn find_interface(device: &str, interface: &str) -> Result<()> {
    let c_name = CString::new(interface)
        .map_err(|_| Error::NulByte { what: "interface", text: interface.to_owned() })?;
    // SAFETY: takes a NUL-terminated string and returns a number.
    if unsafe { libc::if_nametoindex(c_name.as_ptr()) } != 0 {
        return Ok(());
    }
    let why = format!("there is no interface {interface:?}; `ip link` lists what there is");
    Err(Error::NoDevice { device: device.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hugepages_are_counted_against_the_wish() {
        assert_eq!(check_hugepages(0, None), Err(Error::NoHugepages));
        assert_eq!(check_hugepages(0, Some(64)), Err(Error::NoHugepages));
        assert_eq!(check_hugepages(64, Some(64)), Ok(()));
        assert_eq!(check_hugepages(2, None), Ok(()));
        let few = check_hugepages(64, Some(1025)).unwrap_err();
        assert_eq!(few, Error::FewHugepages { wanted_mb: 1025, free_mb: 64, pages: 513 });
        assert!(few.to_string().contains("echo 513 > /sys/kernel/mm/hugepages"), "{few}");
        assert!(Error::NoHugepages.to_string().contains("no_huge = true"));
    }

    #[test]
    fn a_file_prefix_has_one_owner() {
        let name = format!("test-{}", std::process::id());
        let first = claim_file_prefix(&name).unwrap();
        let second = claim_file_prefix(&name).unwrap_err();
        assert_eq!(second, Error::AlreadyRunning { file_prefix: name.clone() });
        drop(first);
        assert!(claim_file_prefix(&name).is_ok());
    }

    #[test]
    fn a_missing_interface_is_named() {
        assert_eq!(find_interface("net_af_packet0", "lo"), Ok(()));
        let error = find_interface("net_af_packet0", "no-such-if").unwrap_err().to_string();
        assert!(error.contains("net_af_packet0") && error.contains("\"no-such-if\""), "{error}");
    }
}
