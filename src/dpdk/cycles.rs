//! The processor's time stamp counter (TSC), the clock of the packet path.

use std::sync::OnceLock;

/// The counter now. Monotonic on one core and, with an invariant counter, across cores.
#[inline]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 processor has the instruction and Linux lets user space run it.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: reads a counter; no argument, no memory.
    return unsafe { dpdk_sys::director_rdtsc() };
}

/// How fast [`cycles`] counts. The EAL measures it at start: 0 before that.
#[inline]
pub fn cycles_per_second() -> u64 {
    static MEASURED: OnceLock<u64> = OnceLock::new();
    if let Some(rate) = MEASURED.get() {
        return *rate;
    }
    // SAFETY: returns a static variable of the EAL.
    match unsafe { dpdk_sys::rte_get_tsc_hz() } {
        0 => 0,
        rate => *MEASURED.get_or_init(|| rate),
    }
}
