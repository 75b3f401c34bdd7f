//! The result of a transcript: passed, failed, or a deviation that the project keeps; and its line of output.

use crate::play::Difference;
use serde::Deserialize;
use std::fmt;
use std::fs;
use std::path::Path;

/// The project's list of transcripts that the director does not follow.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    /// Intended differences.
    #[serde(default)]
    deviation: Vec<Deviation>,
    /// Name prefixes (`sync-`) of transcripts for missing features.
    #[serde(default)]
    later: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    /// A transcript's name; with `*` at the end, all names that begin with it.
    name: String,
    /// Only steps of this kind may differ: `send`, or a command, e.g. `ipvsadm -h`.
    step_kind: Option<String>,
    /// One line: why the director differs.
    reason: String,
    /// Numbers of the steps that may differ, from 1. Without any, every step may.
    #[serde(default)]
    steps: Vec<usize>,
}

/// Result of a transcript.
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
    /// One sentence that names the file.
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

    /// True if the list allows the difference.
    pub fn excuses(&self, name: &str, difference: &Difference) -> bool {
        self.excuse(name, difference).is_some()
    }

    fn excuse(&self, name: &str, difference: &Difference) -> Option<&Deviation> {
        self.deviation.iter().find(|entry| entry.excuses(name, difference))
    }

    /// A transcript whose differences are all listed is a deviation. A listed one without differences has passed.
    pub fn judge(&self, name: &str, differences: &[Difference]) -> Verdict {
        let mut reason = None;
        for difference in differences {
            let Difference { step, what } = difference;
            match self.excuse(name, difference) {
                Some(entry) => reason = reason.or(Some(entry.reason.clone())),
                None if *step == 0 => return Verdict::Fail(what.clone()),
                None => return Verdict::Fail(format!("step {step}: {what}")),
            }
        }
        reason.map_or(Verdict::Ok, Verdict::Deviation)
    }
}

impl Deviation {
    fn excuses(&self, name: &str, difference: &Difference) -> bool {
        let named = match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == self.name,
        };
        let kind = self.step_kind.as_ref();
        named
            && difference.step > 0
            && (self.steps.is_empty() || self.steps.contains(&difference.step))
            && kind.is_none_or(|kind| difference.what.starts_with(&format!("{kind}:")))
    }
}

/// Number of transcripts by result.
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

/// The output line of one transcript.
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
             [[deviation]]\nname = \"all*\"\nreason = \"because\"\n\
             [[deviation]]\nname = \"help\"\nreason = \"own\"\nstep_kind = \"ipvsadm -h\"\n",
        )
        .unwrap()
    }

    #[test]
    fn only_listed_steps_are_excused() {
        let at = |step| Difference { step, what: "x".to_owned() };
        let help = |step| Difference { step, what: "ipvsadm -h: stdout".to_owned() };
        let fail = |text: &str| Verdict::Fail(text.to_owned());
        for (name, differences, wanted) in [
            ("frag", vec![at(2)], Verdict::Deviation("why".to_owned())),
            ("frag", vec![at(2), at(3)], fail("step 3: x")),
            ("frag", vec![], Verdict::Ok),
            ("all-of", vec![at(1), at(4)], Verdict::Deviation("because".to_owned())),
            ("all", vec![at(0)], fail("x")),
            ("help", vec![help(3)], Verdict::Deviation("own".to_owned())),
            ("help", vec![at(3)], fail("step 3: x")),
            ("other", vec![at(1)], fail("step 1: x")),
            ("other", vec![], Verdict::Ok),
        ] {
            assert_eq!(exceptions().judge(name, &differences), wanted, "{name} {differences:?}");
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
