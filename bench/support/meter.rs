//! Cycles of the time stamp counter, and instructions if the machine counts them.

use director::dpdk::cycles;
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};
use serde::Serialize;
use std::hint::black_box;

/// Cost per packet or per call.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Median over all bursts.
    pub cycles: f64,
    /// Lowest median of one batch: the value with the least disturbance.
    pub cycles_low: f64,
    /// `None` if the processor's counters are not available, as in most virtual machines.
    pub instructions: Option<f64>,
}

/// The median of `samples`, which are sorted.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Instructions in user space of this thread.
pub struct Instructions(Option<Counter>);

impl Instructions {
    pub fn new() -> Instructions {
        Instructions(Builder::new(Hardware::INSTRUCTIONS).build().ok())
    }

    /// Runs `work` and returns its instructions.
    pub fn count(&mut self, work: impl FnOnce()) -> Option<u64> {
        let Some(counter) = &mut self.0 else {
            work();
            return None;
        };
        counter.reset().and_then(|()| counter.enable()).ok()?;
        work();
        counter.disable().and_then(|()| counter.read()).ok()
    }
}

/// Calls per round; enough that reading the counter is negligible.
const CALLS: usize = 1024;
const ROUNDS: usize = 201;

/// Cost of one call of `work`, which gets the call's number.
pub fn call<R>(mut work: impl FnMut(usize) -> R) -> Cost {
    let mut rounds: Vec<f64> = Vec::with_capacity(ROUNDS);
    let round = |work: &mut dyn FnMut(usize)| {
        let start = cycles();
        (0..CALLS).for_each(&mut *work);
        (cycles() - start) as f64 / CALLS as f64
    };
    let mut each = |index| {
        black_box(work(black_box(index)));
    };
    let mut instructions = Instructions::new();
    let counted = instructions.count(|| (0..CALLS).for_each(&mut each));
    for _ in 0..ROUNDS {
        rounds.push(round(&mut each));
    }
    let low = rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let instructions = counted.map(|count| count as f64 / CALLS as f64);
    Cost { cycles: median(&mut rounds), cycles_low: low, instructions }
}
