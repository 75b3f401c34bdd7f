//! Lcores: pinned threads of the EAL, one per worker.

use super::Result;
use super::eal::{Eal, Running};
use super::error::check;
use parking_lot::Mutex;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

/// A worker lcore that waits for work.
#[derive(Debug)]
pub struct Lcore {
    id: u32,
    core: usize,
    /// The EAL may not end while an lcore has work.
    _running: Arc<Running>,
}

/// Work that runs on an lcore. Dropping it waits until the work ends, like [`LcoreTask::join`].
#[derive(Debug)]
pub struct LcoreTask<T> {
    lcore: Lcore,
    outcome: Arc<Mutex<Option<thread::Result<T>>>>,
}

type Work = Box<dyn FnOnce() + Send>;

impl Eal {
    /// The worker lcores, in the order of [`EalOptions::worker_cores`](super::EalOptions::worker_cores).
    pub fn workers(&self) -> Vec<Lcore> {
        let running = self.running();
        let cores = running.worker_cores.iter().zip(1..);
        cores.map(|(&core, id)| Lcore { id, core, _running: Arc::clone(&running) }).collect()
    }
}

impl Lcore {
    /// DPDK's number of the lcore.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The CPU it is pinned to.
    pub fn core(&self) -> usize {
        self.core
    }

    /// The NUMA node of that CPU.
    pub fn socket(&self) -> u32 {
        // SAFETY: reads the EAL's table of lcores; any number is allowed.
        unsafe { dpdk_sys::rte_lcore_to_socket_id(self.id) }
    }

    /// Runs `work` on the lcore.
    ///
    /// # Errors
    /// The lcore is busy with earlier work.
    pub fn launch<T, F>(self, work: F) -> Result<LcoreTask<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        let work: Work = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            *slot.lock() = Some(result);
        });
        let argument = Box::into_raw(Box::new(work));
        // SAFETY: `run` takes back exactly such a box, once; what it holds is `Send`.
        let launched =
            unsafe { dpdk_sys::rte_eal_remote_launch(Some(run), argument.cast(), self.id) };
        if let Err(error) = check(launched, || format!("lcore {}", self.id)) {
            // SAFETY: the launch was refused, so no other code has the pointer.
            drop(unsafe { Box::from_raw(argument) });
            return Err(error);
        }
        Ok(LcoreTask { lcore: self, outcome })
    }
}

impl<T> LcoreTask<T> {
    /// Waits until the work ends. Returns its result or its panic.
    ///
    /// # Errors
    /// The panic's payload.
    #[expect(clippy::expect_used, reason = "the work stores its result before it ends")]
    pub fn join(self) -> thread::Result<T> {
        self.wait();
        // The work stores its result last, whether it returned or panicked, and has ended.
        let result = self.outcome.lock().take();
        result.expect("ended work has left its result")
    }

    /// The work has ended: [`LcoreTask::join`] will not wait.
    pub fn is_finished(&self) -> bool {
        // SAFETY: reads the state of an lcore that exists.
        unsafe { dpdk_sys::rte_eal_get_lcore_state(self.lcore.id) != dpdk_sys::RUNNING }
    }

    /// Where it runs.
    pub fn lcore(&self) -> &Lcore {
        &self.lcore
    }

    fn wait(&self) {
        // SAFETY: the lcore exists as long as the EAL, which the task keeps.
        unsafe { dpdk_sys::rte_eal_wait_lcore(self.lcore.id) };
    }
}

impl<T> Drop for LcoreTask<T> {
    fn drop(&mut self) {
        self.wait();
    }
}

extern "C" fn run(argument: *mut c_void) -> c_int {
    // SAFETY: `launch` passed the pointer of a boxed `Work` and gave it up.
    let work = unsafe { Box::from_raw(argument.cast::<Work>()) };
    work();
    0
}
