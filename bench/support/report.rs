//! Results as a table and as JSON.

use super::meter::Cost;
use serde::Serialize;
use std::fs;
use std::io::Write;

/// The machine of the results.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cpus: usize,
    pub hypervisor: bool,
    pub governor: String,
    pub kernel: String,
    pub dpdk: String,
    pub hugepages_2m: u64,
    pub load: String,
}

impl Machine {
    pub fn this() -> Machine {
        let information = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = information.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
        };
        let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        Machine {
            processor: field("model name").unwrap_or_default(),
            cpus: information.lines().filter(|line| line.starts_with("processor")).count(),
            hypervisor: field("flags").is_some_and(|flags| flags.contains("hypervisor")),
            governor: if governor.is_empty() { "not visible".to_owned() } else { governor },
            kernel: read("/proc/sys/kernel/osrelease"),
            dpdk: director::dpdk::Eal::version(),
            hugepages_2m: read("/proc/sys/vm/nr_hugepages").parse().unwrap_or(0),
            load: read("/proc/loadavg"),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// One measurement: its properties and its cost.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub flows: Option<u32>,
    pub detail: String,
    #[serde(flatten)]
    pub cost: Cost,
}

/// All rows of one bench, printed as they are measured.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    unit: &'static str,
    machine: Machine,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(bench: &'static str, unit: &'static str) -> Report {
        let machine = Machine::this();
        println!("## {bench}: {unit}\n");
        println!(
            "{}, {} CPUs, {}, {} hugepages of 2 MiB, load {}\n",
            machine.processor, machine.cpus, machine.dpdk, machine.hugepages_2m, machine.load
        );
        println!("| {:<22} | {:>9} | {:<22} | cycles |    low | instr. |", "what", "flows", "how");
        println!("|{0:-<24}|{0:-<10}:|{0:-<24}|-------:|-------:|-------:|", "");
        Report { bench, unit, machine, rows: Vec::new() }
    }

    pub fn add(&mut self, name: &str, flows: Option<u32>, detail: &str, cost: Cost) {
        let flows_text = flows.map(|flows| flows.to_string()).unwrap_or_default();
        let instructions = match cost.instructions {
            Some(count) => format!("{count:.1}"),
            None => String::new(),
        };
        println!(
            "| {name:<22} | {flows_text:>9} | {detail:<22} | {:>6.1} | {:>6.1} | {instructions:>6} |",
            cost.cycles, cost.cycles_low
        );
        let _ = std::io::stdout().flush();
        self.rows.push(Row { name: name.to_owned(), flows, detail: detail.to_owned(), cost });
    }

    /// Writes the JSON to `path` if there is one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: Option<&str>) -> std::io::Result<()> {
        println!();
        write_json(self, path)
    }
}

/// Writes `results` as JSON to `path` if there is one.
///
/// # Errors
/// If the file cannot be written.
pub fn write_json(results: &impl Serialize, path: Option<&str>) -> std::io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(results)?;
    text.push('\n');
    fs::write(path, text)
}
