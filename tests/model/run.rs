//! Runs director and reference side by side, finds the first difference, and shrinks the steps that lead to it.

use crate::generator::{Generator, Scope};
use crate::observation::Listing;
use crate::reference::Reference;
use crate::step::Step;
use crate::subject::Subject;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps of a run, unless `MODEL_STEPS` is set.
const STEPS: usize = 5000;
/// Listings are compared after this many steps, and after every wait.
const LISTING_EVERY: usize = 5;
/// How often a failing run is repeated with fewer steps.
const SHRINKING: usize = 1500;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs every seed and panics with the steps of a run that differs. All outcomes in `kinds` must have occurred.
pub fn compare(name: &str, seeds: RangeInclusive<u64>, scope: Scope, kinds: &[&str]) {
    let steps = setting("MODEL_STEPS").map_or(STEPS, |steps| steps as usize);
    let seeds = setting("MODEL_SEED").map_or(seeds, |seed| seed..=seed);
    let mut seen = BTreeSet::new();
    for seed in seeds {
        let (made, difference) = generate(seed, scope, steps, &mut seen);
        if difference.is_some() {
            let (fewest, difference) = shrink(made);
            panic!("{name}, seed {seed}:\n{}{difference}", in_words(&fewest));
        }
    }
    let missed: Vec<_> = kinds.iter().filter(|kind| !seen.contains(**kind)).collect();
    assert!(missed.is_empty(), "{name}: outcomes {missed:?} never occurred, only {seen:?}");
}

fn in_words(steps: &[Step]) -> String {
    steps.iter().enumerate().fold(String::new(), |mut text, (number, step)| {
        writeln!(text, "{:4}  {step}", number + 1).expect("writing to a string");
        text
    })
}

/// Director and reference.
struct Pair {
    reference: Reference,
    subject: Subject,
    steps: usize,
    /// Kinds of outcomes that occurred.
    seen: BTreeSet<String>,
}

impl Pair {
    fn new() -> Self {
        Pair {
            reference: Reference::new(),
            subject: Subject::new(1),
            steps: 0,
            seen: BTreeSet::new(),
        }
    }

    /// Takes a step with both; returns the difference, if any.
    fn step(&mut self, step: &Step) -> Option<String> {
        self.steps += 1;
        match step {
            Step::Apply(command) => {
                let expected = self.reference.apply(command);
                let found = self.subject.apply(command);
                differs("the command's outcome", &expected, &found)
            }
            Step::Sysctl(name, value) => {
                self.reference.set_sysctl(name, *value);
                self.subject.set_sysctl(name, *value);
                None
            }
            Step::Packet(packet) => {
                let expected = self.reference.receive(packet);
                let found = self.subject.receive(packet.by, &packet.frame(), 0);
                self.seen.insert(found.kind());
                differs("what became of the packet", &expected, &found)
            }
            Step::Error(error) => {
                let expected = self.reference.receive_error(error);
                let found = self.subject.receive(error.by, &error.frame(), 0);
                self.seen.insert(found.kind());
                differs("what became of the error", &expected, &found)
            }
            Step::Wait(ticks) => {
                for _ in 0..*ticks {
                    self.reference.tick();
                    self.subject.tick();
                }
                None
            }
        }
        .or_else(|| {
            let is_due = self.steps.is_multiple_of(LISTING_EVERY) || matches!(step, Step::Wait(_));
            if is_due { self.listings() } else { None }
        })
    }

    fn listings(&mut self) -> Option<String> {
        let (expected, found) = (self.reference.listing(), self.subject.listing());
        if expected == found {
            return None;
        }
        let Listing { services, connections, total } = expected;
        None.or_else(|| list_differs("service", &services, &found.services))
            .or_else(|| list_differs("connection", &connections, &found.connections))
            .or_else(|| differs("the total", &total, &found.total))
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Option<String> {
    (expected != found)
        .then(|| format!("{what}:\n  reference {expected:?}\n  director  {found:?}\n"))
}

fn list_differs<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &[T],
    found: &[T],
) -> Option<String> {
    let lacking = expected.iter().filter(|row| !found.contains(row));
    let surplus = found.iter().filter(|row| !expected.contains(row));
    let mut text = String::new();
    lacking.for_each(|row| writeln!(text, "  reference {what} {row:?}").expect("written"));
    surplus.for_each(|row| writeln!(text, "  director  {what} {row:?}").expect("written"));
    if text.is_empty() && expected != found {
        text = format!("  order or number of {what}s: {} and {}\n", expected.len(), found.len());
    }
    (!text.is_empty()).then_some(text)
}

/// As above; a panic counts as a difference.
fn guarded(work: impl FnOnce() -> Option<String>) -> Option<String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Some(format!("panic: {}\n", text.unwrap_or_default()))
    })
}

/// Generates and takes steps until one shows a difference.
fn generate(
    seed: u64,
    scope: Scope,
    count: usize,
    seen: &mut BTreeSet<String>,
) -> (Vec<Step>, Option<String>) {
    let mut generator = Generator::new(seed, scope);
    let mut pair = Pair::new();
    let mut made = Vec::new();
    for _ in 0..count {
        let step = generator.step(&pair.reference);
        made.push(step.clone());
        let difference = guarded(|| pair.step(&step));
        if difference.is_some() {
            return (made, difference);
        }
    }
    seen.extend(pair.seen);
    (made, None)
}

fn replay(steps: &[Step]) -> Option<String> {
    guarded(|| {
        let mut pair = Pair::new();
        let found = steps.iter().find_map(|step| pair.step(step));
        found.or_else(|| pair.listings())
    })
}

/// Joins consecutive waits.
fn join_waits(steps: &mut Vec<Step>) {
    steps.dedup_by(|next, kept| match (next, kept) {
        (Step::Wait(next), Step::Wait(kept)) => {
            *kept += *next;
            true
        }
        _ => false,
    });
}

/// Removes smaller and smaller parts of the steps while a difference remains.
fn shrink(mut steps: Vec<Step>) -> (Vec<Step>, String) {
    let mut difference = replay(&steps).expect("a run is deterministic");
    let mut piece = steps.len() / 2;
    let mut tries = SHRINKING;
    while piece > 0 && tries > 0 {
        let mut at = 0;
        while at < steps.len() && tries > 0 {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + piece).min(steps.len()));
            tries -= 1;
            match replay(&fewer) {
                Some(other) => (steps, difference) = (fewer, other),
                None => at += piece,
            }
        }
        piece /= 2;
    }
    join_waits(&mut steps);
    (steps, difference)
}
