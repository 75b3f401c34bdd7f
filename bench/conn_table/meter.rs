//! Times of operations over several runs, printed as medians.

use super::memory::Memory;
use serde::Serialize;
use std::hint::black_box;

/// What one operation took in each run.
#[derive(Debug, Serialize)]
struct Row {
    connections: usize,
    candidate: &'static str,
    operation: &'static str,
    nanoseconds: Vec<f64>,
    /// Of the time stamp counter; empty without the feature `dpdk`.
    cycles: Vec<f64>,
}

/// Where a candidate's memory lies.
#[derive(Debug, Serialize)]
struct Place {
    connections: usize,
    candidate: &'static str,
    memory: Memory,
    /// Memory of the table and its connections by its own account, for each connection it was made for.
    bytes_per_connection: f64,
}

#[derive(Debug, Default, Serialize)]
pub struct Meter {
    rows: Vec<Row>,
    places: Vec<Place>,
    #[serde(skip)]
    size: usize,
    #[serde(skip)]
    candidate: &'static str,
    /// In the first run of a size.
    #[serde(skip)]
    first: bool,
}

impl Meter {
    pub fn new() -> Meter {
        Meter::default()
    }

    /// Run number `run` over tables of `size` connections begins.
    pub fn begin(&mut self, size: usize, run: usize) {
        self.size = size;
        self.first = run == 0;
    }

    /// What is measured from here on.
    pub fn candidate(&mut self, name: &'static str) {
        self.candidate = name;
    }

    /// The candidate took what was mapped since `before`.
    pub fn place(&mut self, before: Memory, bytes_per_connection: f64) {
        if !self.first {
            return;
        }
        let memory = Memory::now().since(before);
        let (connections, candidate) = (self.size, self.candidate);
        println!(
            "{connections:>9} {candidate}: {bytes_per_connection:.1} B a connection; {memory}"
        );
        self.places.push(Place { connections, candidate, memory, bytes_per_connection });
    }

    /// Times each of `pieces`, which does its work when it is taken and says how many operations that were. The
    /// middle one counts: a piece is short beside the time slices in which other programs get the processor.
    pub fn time(&mut self, operation: &'static str, mut pieces: impl Iterator<Item = usize>) {
        let (mut samples, mut waiting) = (Vec::new(), 0);
        loop {
            let start = clock::now();
            let Some(operations) = black_box(pieces.next()) else { break };
            let taken = clock::now() - start + std::mem::take(&mut waiting);
            match operations {
                // A look that found nothing to do belongs to the next piece.
                0 => waiting = taken,
                operations => samples.push(taken as f64 / operations as f64),
            }
        }
        let (middle, _) = middle_and_low(&samples);
        let (connections, candidate) = (self.size, self.candidate);
        let key = (connections, candidate, operation);
        let same = |row: &Row| (row.connections, row.candidate, row.operation) == key;
        let index = self.rows.iter().position(same).unwrap_or_else(|| {
            let (nanoseconds, cycles) = (Vec::new(), Vec::new());
            self.rows.push(Row { connections, candidate, operation, nanoseconds, cycles });
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        row.nanoseconds.push(clock::nanoseconds(middle));
        row.cycles.extend(clock::cycles(middle));
    }

    /// The medians, and the lowest run: what is left when the neighbours are quiet.
    pub fn print(&self) {
        println!("\n| connections | candidate | operation | ns | cycles | lowest |");
        println!("|---:|---|---|---:|---:|---:|");
        for row in &self.rows {
            let Row { connections, candidate, operation, .. } = row;
            let (nanoseconds, _) = middle_and_low(&row.nanoseconds);
            let (middle, low) = middle_and_low(&row.cycles);
            println!(
                "| {connections} | {candidate} | {operation} | {nanoseconds:.1} | {middle:.0} | {low:.0} |"
            );
        }
        println!();
    }

    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &str) -> std::io::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")
    }
}

fn middle_and_low(samples: &[f64]) -> (f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    (middle, sorted.first().copied().unwrap_or(f64::NAN))
}

/// The time stamp counter.
#[cfg(feature = "dpdk")]
mod clock {
    use director::dpdk::{cycles as counter, cycles_per_second};

    pub fn now() -> u64 {
        counter()
    }

    pub fn nanoseconds(taken: f64) -> f64 {
        taken * 1e9 / cycles_per_second() as f64
    }

    pub fn cycles(taken: f64) -> Option<f64> {
        Some(taken)
    }
}

/// Nanoseconds of the system.
#[cfg(not(feature = "dpdk"))]
mod clock {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub fn now() -> u64 {
        START.elapsed().as_nanos() as u64
    }

    pub fn nanoseconds(taken: f64) -> f64 {
        taken
    }

    pub fn cycles(_taken: f64) -> Option<f64> {
        None
    }
}
