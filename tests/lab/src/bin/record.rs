//! Runs in the recording machine: receives scenarios on a serial device and returns transcripts.
//!
//! Each line is one JSON text: the request is a list of scenarios, recorded at the same time; the reply is a list of
//! transcripts, or of sentences with the reason for a failure.

use director_lab::recorder;
use director_lab::topology::Topology;
use director_lab::transcript::Transcript;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [device, topology] = &arguments[..] else {
        eprintln!("record: usage: record DEVICE TOPOLOGY");
        return ExitCode::from(2);
    };
    match serve(device, topology) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("record: {what}");
            ExitCode::FAILURE
        }
    }
}

fn serve(device: &str, topology: &str) -> Result<(), String> {
    let topology = Topology::read(Path::new(topology))?;
    let told = |error: std::io::Error| format!("{device}: {error}");
    let open = OpenOptions::new().read(true).write(true).open(device).map_err(told)?;
    let mut answers = open.try_clone().map_err(told)?;
    for line in BufReader::new(open).lines() {
        let scenarios: Vec<Transcript> =
            serde_json::from_str(&line.map_err(told)?).map_err(|error| error.to_string())?;
        let results = record_all(&topology, &scenarios);
        let mut text = serde_json::to_string(&results).map_err(|error| error.to_string())?;
        text.push('\n');
        answers.write_all(text.as_bytes()).map_err(told)?;
    }
    Ok(())
}

/// Each scenario has its own thread, because namespaces belong to threads and end with them.
fn record_all(topology: &Topology, scenarios: &[Transcript]) -> Vec<Result<Transcript, String>> {
    thread::scope(|scope| {
        let start = |scenario| scope.spawn(move || recorder::record(topology, scenario));
        let threads: Vec<_> = scenarios.iter().map(start).collect();
        let panicked = |_| Err("the recorder panicked".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    })
}
