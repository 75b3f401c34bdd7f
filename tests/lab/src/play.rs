//! Plays one transcript against a director started for it.

use crate::compare::{self, Context};
use crate::configuration::{self, Place};
use crate::datagram;
use crate::frame;
use crate::listing;
use crate::tools::{Answer, Binaries, DirectorProcess};
use crate::topology::Topology;
use crate::transcript::{Sent, Step, Transcript};
use crate::wire::{self, Wire};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for an expected frame: a slow machine must not fail the test.
const PATIENCE: Duration = Duration::from_millis(700);
/// Silence after the last expected frame that ends a step.
const QUIET: Duration = Duration::from_millis(2);
/// Silence that ends a step without expected frames: the time that the recorder waited.
const SILENCE: Duration = Duration::from_millis(12);

/// Interval of the rate estimator.
const ESTIMATOR_PERIOD: Duration = Duration::from_secs(2);

/// Where directors are started, and what all transcripts share.
#[derive(Debug, Clone)]
pub struct Stage<'a> {
    pub topology: &'a Topology,
    pub binaries: &'a Binaries,
    /// For configuration and socket; created and removed with each director.
    pub folder: PathBuf,
    pub file_prefix: String,
    pub core: usize,
    /// Set to interrupt the run.
    pub stop: &'a AtomicBool,
}

/// A step whose result differs from the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Step number from 1; 0 stands for the director itself.
    pub step: usize,
    pub what: String,
}

struct Player<'a> {
    wires: BTreeMap<String, Wire>,
    director: DirectorProcess,
    own_addresses: Vec<IpAddr>,
    /// Minimum time of a frame: as recorded, if timers or rates are listed.
    pace: Duration,
    stage: &'a Stage<'a>,
}

/// Creates the interfaces for [`play`] in the calling thread's namespace.
///
/// # Errors
/// One sentence that names what cannot be created.
pub fn set_stage(topology: &Topology) -> Result<(), String> {
    wire::enter_new_namespace()?;
    topology.ports.iter().try_for_each(|(name, port)| wire::make_pair(name, &port.mac))
}

/// Plays a transcript and returns the differences, up to the first one whose step is not `excused`.
pub fn play(
    stage: &Stage,
    transcript: &Transcript,
    excused: impl Fn(&Difference) -> bool,
) -> Vec<Difference> {
    let mut player = match Player::start(stage, transcript) {
        Ok(player) => player,
        Err(what) => return vec![Difference { step: 0, what }],
    };
    let mut differences = Vec::new();
    let start = Instant::now();
    for (at, step) in transcript.steps.iter().enumerate() {
        if player.pace > Duration::ZERO
            && let Some(seconds) = transcript.at.get(at)
        {
            let early = Duration::from_secs_f64(*seconds).saturating_sub(start.elapsed());
            thread::sleep(early);
        }
        if stage.stop.load(Ordering::Relaxed) {
            differences.push(Difference { step: 0, what: "interrupted".to_owned() });
            return differences;
        }
        let outcome = player.director.check_alive().and_then(|()| player.step(step));
        if let Err(what) = outcome {
            let difference = Difference { step: at + 1, what };
            let goes_on = excused(&difference);
            differences.push(difference);
            if !goes_on {
                return differences;
            }
        }
    }
    let silence = player.step(&Step::Sleep { sleep: 0.0, out: Vec::new() });
    if let Err(what) = silence.and_then(|()| player.director.stop()) {
        differences.push(Difference { step: 0, what });
    }
    differences
}

impl<'a> Player<'a> {
    fn start(stage: &'a Stage, transcript: &Transcript) -> Result<Player<'a>, String> {
        let socket = DirectorProcess::socket(&stage.folder);
        let place = Place { socket: &socket, file_prefix: &stage.file_prefix, core: stage.core };
        let text = configuration::write(stage.topology, transcript, place)?;
        let director =
            DirectorProcess::start(stage.binaries, &stage.folder, &stage.file_prefix, &text)?;
        let open = |name: &String| Ok((name.clone(), Wire::open(&wire::peer_of(name))?));
        let wires = stage.topology.ports.keys().map(open).collect::<Result<_, String>>()?;
        let own_addresses = stage.topology.own_addresses();
        let pace = if lists_time(transcript) { SILENCE } else { Duration::ZERO };
        Ok(Player { wires, director, own_addresses, pace, stage })
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send { send, out } => {
                self.transmit(send)?;
                let sent = self.collect(out, self.pace, <[Sent]>::len)?;
                self.compare("send", Some(&send.frame), out, &sent)
            }
            Step::Burst { burst, out } => {
                burst.iter().try_for_each(|sent| self.transmit(sent))?;
                let first = burst.first().map_or(&[][..], |sent| sent.frame.as_slice());
                let out = datagram::forwarded(out, first);
                let datagrams = |sent: &[Sent]| datagram::forwarded(sent, first).len();
                // After an unexpected frame, more frames may follow.
                let sent = self.collect(&out, self.pace.max(SILENCE * 4), datagrams)?;
                self.compare("burst", Some(first), &out, &datagram::forwarded(&sent, first))
            }
            Step::Sleep { sleep, out } => {
                let sent = self.collect(out, Duration::from_secs_f64(*sleep), <[Sent]>::len)?;
                self.compare("sleep", None, out, &sent)
            }
            Step::Command { ipvsadm, stdin, rc, stdout, stderr } => {
                let stdin = stdin.as_deref().unwrap_or_default();
                let wanted = Answer { rc: *rc, stdout: stdout.clone(), stderr: stderr.clone() };
                let got = self.ask(ipvsadm, stdin)?;
                match compare_answers(ipvsadm, &wanted, &got) {
                    Some(_)
                        if ipvsadm.contains("--rate") && self.rates_come(ipvsadm, &wanted)? =>
                    {
                        Ok(())
                    }
                    Some(what) => Err(format!("ipvsadm {ipvsadm}: {what}")),
                    None => Ok(()),
                }
            }
            Step::Sysctl { sysctl } => sysctl.0.iter().try_for_each(|(name, value)| {
                let words = ["sysctl".to_owned(), format!("{name}={value}")];
                let got = self.director.run(&self.stage.binaries.directorctl, &words, "")?;
                match got.rc {
                    0 => Ok(()),
                    rc => Err(format!(
                        "directorctl sysctl {name}={value}: {rc} {}",
                        got.stderr.trim()
                    )),
                }
            }),
        }
    }

    fn transmit(&mut self, sent: &Sent) -> Result<(), String> {
        let Sent { port, frame } = sent;
        let wire = self.wires.get_mut(port);
        let wire = wire.ok_or_else(|| format!("there is no port {port}"))?;
        wire.send(frame).map_err(|error| format!("{port}: {error}"))
    }

    fn ask(&self, arguments: &str, stdin: &str) -> Result<Answer, String> {
        self.director.run(&self.stage.binaries.ipvsadm, &split_words(arguments), stdin)
    }

    /// True if a listing of rates becomes equal to the recorded one, or reaches its values, within one period of the
    /// estimator.
    fn rates_come(&self, arguments: &str, wanted: &Answer) -> Result<bool, String> {
        let deadline = Instant::now() + ESTIMATOR_PERIOD + PATIENCE;
        let mut seen = Vec::new();
        while Instant::now() < deadline && !self.stage.stop.load(Ordering::Relaxed) {
            let got = self.ask(arguments, "")?;
            if compare_answers(arguments, wanted, &got).is_none() {
                return Ok(true);
            }
            seen.push(got.stdout);
            self.wait(QUIET * 50)?;
        }
        Ok(listing::rates_reach(&wanted.stdout, &seen))
    }

    fn compare(
        &self,
        kind: &str,
        input: Option<&[u8]>,
        expected: &[Sent],
        sent: &[Sent],
    ) -> Result<(), String> {
        let context = Context { input, own_addresses: &self.own_addresses };
        match compare::difference(expected, sent, &context) {
            None => Ok(()),
            Some(what) => Err(format!("{kind}: {what}")),
        }
    }

    /// Frames that the director sends: for at least `span`, until all expected frames have arrived and it is silent, or
    /// until the longest wait. `count` returns how many expected ones the frames contain.
    fn collect(
        &mut self,
        expected: &[Sent],
        span: Duration,
        count: impl Fn(&[Sent]) -> usize,
    ) -> Result<Vec<Sent>, String> {
        let announces = expected.iter().any(|sent| frame::is_announcement(&sent.frame));
        let start = Instant::now();
        let mut heard = start;
        let mut sent: Vec<Sent> = Vec::new();
        loop {
            let arrived = self.receive()?;
            if !arrived.is_empty() {
                heard = Instant::now();
            }
            let counts = |got: &Sent| announces || !frame::is_announcement(&got.frame);
            sent.extend(arrived.into_iter().filter(counts));
            let quiet = if expected.is_empty() { SILENCE } else { QUIET };
            let limit = match count(&sent) >= expected.len() {
                true => (heard + quiet).max(start + span),
                false => start + span + PATIENCE,
            };
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stage.stop.load(Ordering::Relaxed) {
                return Ok(sent);
            }
            self.wait(left)?;
        }
    }

    fn wait(&self, longest: Duration) -> Result<(), String> {
        let mut ready: Vec<PollFd> =
            self.wires.values().map(|wire| PollFd::new(wire.as_fd(), PollFlags::POLLIN)).collect();
        let whole = longest.as_micros().div_ceil(1000).min(100) as u16;
        match poll(&mut ready, PollTimeout::from(whole)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(format!("poll: {error}")),
        }
    }

    fn receive(&mut self) -> Result<Vec<Sent>, String> {
        let mut arrived = Vec::new();
        for (port, wire) in &mut self.wires {
            while let Some(frame) = wire.receive().map_err(|error| format!("{port}: {error}"))? {
                arrived.push(Sent { port: port.clone(), frame });
            }
        }
        Ok(arrived)
    }
}

fn compare_answers(arguments: &str, wanted: &Answer, got: &Answer) -> Option<String> {
    if let Some(what) = listing::difference(arguments, &wanted.stderr, &got.stderr) {
        return Some(format!("stderr {what}"));
    }
    if wanted.rc != got.rc {
        return Some(format!("status {}, expected {}", got.rc, wanted.rc));
    }
    let what = listing::difference(arguments, &wanted.stdout, &got.stdout)?;
    Some(format!("stdout {what}"))
}

/// True if a listing depends on the times of the previous steps.
fn lists_time(transcript: &Transcript) -> bool {
    transcript.steps.iter().any(|step| match step {
        Step::Command { stdout, ipvsadm, .. } => {
            listing::is_of_connections(stdout) || ipvsadm.contains("--rate")
        }
        _ => false,
    })
}

/// Splits a command line at spaces, with quotes as in a shell.
pub(crate) fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command() {
        for (line, wanted) in [
            ("-Ln  --stats ", vec!["-Ln", "--stats"]),
            ("-A -t 'a b' -p \"\"", vec!["-A", "-t", "a b", "-p", ""]),
            ("", vec![]),
        ] {
            assert_eq!(split_words(line), wanted, "{line}");
        }
    }

    #[test]
    fn answers_compare_status_and_both_outputs() {
        let answer = |rc, stdout: &str, stderr: &str| Answer {
            rc,
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        let wanted = answer(255, "", "No such service\n");
        assert_eq!(compare_answers("-D", &wanted, &answer(255, "", "No such service\n")), None);
        for odd in [
            answer(2, "", "No such service\n"),
            answer(255, "x", "No such service\n"),
            answer(255, "", "No such service"),
        ] {
            assert!(compare_answers("-D", &wanted, &odd).is_some(), "{odd:?}");
        }
    }
}
