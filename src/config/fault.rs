//! Errors of a configuration: all of them at once, each with its line and key.

use std::error::Error;
use std::fmt;

/// One error. Printed as `file:line: key: problem; allowed: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// Line number from 1; `None` if the error is not in one line.
    pub line: Option<usize>,
    /// The dotted name of the key, empty if the text is not TOML.
    pub key: String,
    pub problem: String,
    /// What is allowed, if it can be said briefly.
    pub allowed: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(out, ": {}", self.key)?;
        }
        write!(out, ": {}", self.problem)?;
        match &self.allowed {
            Some(allowed) => write!(out, "; allowed: {allowed}"),
            None => Ok(()),
        }
    }
}

/// All errors of a configuration, in the order of its lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `None` if there are none.
    pub(super) fn of(mut faults: Vec<Fault>) -> Option<Self> {
        faults.sort_by_key(|fault| fault.line);
        (!faults.is_empty()).then_some(Faults(faults))
    }

    /// One error of the whole file.
    pub(super) fn whole_file(file: &str, problem: String) -> Self {
        Faults(vec![Fault {
            file: file.to_owned(),
            line: None,
            key: String::new(),
            problem,
            allowed: None,
        }])
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    /// One line for each error.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                out.write_str("\n")?;
            }
            fault.fmt(out)?;
        }
        Ok(())
    }
}

impl Error for Faults {}
