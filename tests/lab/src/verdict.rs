//! What a transcript's differences amount to: deviations that the project stands by, and the
//! line that each transcript ends in.

use crate::play::Difference;
use serde::Deserialize;
use std::fmt;
use std::fs;
use std::path::Path;

/// The project's list of transcripts that it does not follow.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    /// Differences on purpose.
    #[serde(default)]
    deviation: Vec<Deviation>,
    /// Name prefixes (`sync-`) of behaviour that is not there yet.
    #[serde(default)]
    later: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    name: String,
    /// One line: why the director differs on purpose.
    reason: String,
    /// The steps, counted from 1, that may differ. Every step may if none is given.
    #[serde(default)]
    steps: Vec<usize>,
}

/// How a transcript ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Fail(String),
    Deviation(String),
    Later,
}

impl Exceptions {
    /// Reads the list. A missing file is an empty list.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read(path: &Path) -> Result<Exceptions, String> {
        if !path.exists() {
            return Ok(Exceptions::default());
        }
        let told = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| told(&error))?;
        let exceptions: Exceptions = toml::from_str(&text).map_err(|error| told(&error))?;
        match exceptions.deviation.iter().find(|entry| entry.reason.trim().is_empty()) {
            Some(entry) => Err(told(&format!("{} has no reason", entry.name))),
            None => Ok(exceptions),
        }
    }

    pub fn is_later(&self, name: &str) -> bool {
        self.later.iter().any(|prefix| name.starts_with(prefix))
    }

    /// The steps of a transcript, of `count`, that may differ.
    pub fn excused_steps(&self, name: &str, count: usize) -> Vec<usize> {
        match self.deviation(name) {
            Some(entry) if entry.steps.is_empty() => (1..=count).collect(),
            Some(entry) => entry.steps.clone(),
            None => Vec::new(),
        }
    }

    /// A transcript that is listed and differs only where it may is a deviation; one that is
    /// listed and does not differ has passed.
    pub fn judge(&self, name: &str, count: usize, differences: &[Difference]) -> Verdict {
        let excused = self.excused_steps(name, count);
        let blame = differences.iter().find(|difference| !excused.contains(&difference.step));
        match (blame, self.deviation(name)) {
            (Some(Difference { step: 0, what }), _) => Verdict::Fail(what.clone()),
            (Some(Difference { step, what }), _) => Verdict::Fail(format!("step {step}: {what}")),
            (None, Some(entry)) if !differences.is_empty() => {
                Verdict::Deviation(entry.reason.clone())
            }
            (None, _) => Verdict::Ok,
        }
    }

    fn deviation(&self, name: &str) -> Option<&Deviation> {
        self.deviation.iter().find(|entry| entry.name == name)
    }
}

/// How many transcripts ended how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub deviations: usize,
    pub later: usize,
}

impl Tally {
    pub fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Ok => self.passed += 1,
            Verdict::Fail(_) => self.failed += 1,
            Verdict::Deviation(_) => self.deviations += 1,
            Verdict::Later => self.later += 1,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { passed, failed, deviations, .. } = self;
        let all = passed + failed + deviations;
        write!(f, "golden: {passed} passed, {failed} failed, {deviations} deviations of {all}")
    }
}

/// The line for one transcript.
pub fn line(name: &str, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ok => format!("ok {name}"),
        Verdict::Fail(what) => format!("FAIL {name}: {what}"),
        Verdict::Deviation(reason) => format!("deviation {name}: {reason}"),
        Verdict::Later => format!("later {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions() -> Exceptions {
        toml::from_str(
            "later = [\"sync-\"]\n[[deviation]]\nname = \"frag\"\nreason = \"why\"\nsteps = [2]\n\
             [[deviation]]\nname = \"all\"\nreason = \"because\"\n",
        )
        .unwrap()
    }

    #[test]
    fn only_listed_steps_are_excused() {
        let at = |step| Difference { step, what: "x".to_owned() };
        let fail = |text: &str| Verdict::Fail(text.to_owned());
        for (name, differences, wanted) in [
            ("frag", vec![at(2)], Verdict::Deviation("why".to_owned())),
            ("frag", vec![at(2), at(3)], fail("step 3: x")),
            ("frag", vec![], Verdict::Ok),
            ("all", vec![at(1), at(4)], Verdict::Deviation("because".to_owned())),
            ("all", vec![at(0)], fail("x")),
            ("other", vec![at(1)], fail("step 1: x")),
            ("other", vec![], Verdict::Ok),
        ] {
            assert_eq!(exceptions().judge(name, 4, &differences), wanted, "{name} {differences:?}");
        }
        assert!(exceptions().is_later("sync-dr") && !exceptions().is_later("frag"));
    }

    #[test]
    fn the_last_line() {
        let mut tally = Tally::default();
        for verdict in [Verdict::Ok, Verdict::Ok, Verdict::Fail(String::new()), Verdict::Later] {
            tally.count(&verdict);
        }
        assert_eq!(tally.to_string(), "golden: 2 passed, 1 failed, 0 deviations of 3");
    }
}
