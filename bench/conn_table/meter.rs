//! Times of operations over several runs, printed as medians.

use super::memory::Memory;
use serde::Serialize;
use std::hint::black_box;

/// Results of one operation in each run.
#[derive(Debug, Serialize)]
struct Row {
    connections: usize,
    candidate: &'static str,
    operation: &'static str,
    nanoseconds: Vec<f64>,
    /// Cycles of the time stamp counter; empty without the feature `dpdk`.
    cycles: Vec<f64>,
}

/// Memory of a table, by page size.
#[derive(Debug, Serialize)]
struct Place {
    connections: usize,
    candidate: &'static str,
    memory: Memory,
    /// Bytes of table and connections per connection of its capacity, as the table reports.
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
    /// True in the first run of a size.
    #[serde(skip)]
    first: bool,
}

impl Meter {
    pub fn new() -> Meter {
        Meter::default()
    }

    /// Starts run `run` with tables of `size` connections.
    pub fn begin(&mut self, size: usize, run: usize) {
        self.size = size;
        self.first = run == 0;
    }

    /// Sets the name of what is measured next.
    pub fn candidate(&mut self, name: &'static str) {
        self.candidate = name;
    }

    /// Records the memory mapped since `before` for the table.
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

    /// Times each of `pieces`, which works when it is taken and returns its number of operations. The median counts,
    /// because a piece is short compared with the time slices of other programs.
    pub fn time(&mut self, operation: &'static str, mut pieces: impl Iterator<Item = usize>) {
        let (mut samples, mut waiting) = (Vec::new(), 0);
        loop {
            let start = clock::now();
            let Some(operations) = black_box(pieces.next()) else { break };
            let taken = clock::now() - start + std::mem::take(&mut waiting);
            match operations {
                // A step that found nothing due belongs to the next piece.
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

    /// Prints the medians and the fastest run, which has the least disturbance.
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
    /// If the file cannot be written.
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

/// Reads the time stamp counter.
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

/// The system clock in nanoseconds.
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
