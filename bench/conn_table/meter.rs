//! Times of operations over several runs, printed as medians.

use super::memory::Memory;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

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

    /// Times `work`, which says how many operations it did.
    pub fn time(&mut self, operation: &'static str, work: impl FnOnce() -> usize) {
        let (start, first_cycle) = (Instant::now(), cycles());
        let operations = black_box(work()) as f64;
        let (last_cycle, taken) = (cycles(), start.elapsed());
        let (connections, candidate) = (self.size, self.candidate);
        let same = |row: &Row| {
            (row.connections, row.candidate, row.operation) == (connections, candidate, operation)
        };
        let index = self.rows.iter().position(same).unwrap_or_else(|| {
            let (nanoseconds, cycles) = (Vec::new(), Vec::new());
            self.rows.push(Row { connections, candidate, operation, nanoseconds, cycles });
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        row.nanoseconds.push(taken.as_nanos() as f64 / operations);
        if let (Some(from), Some(to)) = (first_cycle, last_cycle) {
            row.cycles.push(to.wrapping_sub(from) as f64 / operations);
        }
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

#[cfg(feature = "dpdk")]
fn cycles() -> Option<u64> {
    Some(director::dpdk::cycles())
}

#[cfg(not(feature = "dpdk"))]
fn cycles() -> Option<u64> {
    None
}
