//! Finds the smallest scenario on which the director still differs from the kernel.
//!
//! It removes steps in smaller and smaller groups, then simplifies the rest: settings, options of commands, fields of
//! packets. A smaller scenario counts only if its difference is of the same kind.

use crate::play::Difference;
use crate::scenario::{Action, Frame, Scenario};
use crate::transcript::Transcript;

/// Maximum number of scenarios tried.
const MOST_TRIES: usize = 120;

/// A scenario, the kernel's results, and the director's first difference.
#[derive(Debug, Clone)]
pub struct Case {
    pub scenario: Scenario,
    pub transcript: Transcript,
    pub difference: Difference,
}

/// Shrinks `case`. `attempt` records and plays a scenario; it returns `None` if the director does the same as the
/// kernel.
pub fn shrink(case: Case, attempt: impl FnMut(&Scenario) -> Option<Case>) -> Case {
    let kind = kind(&case.difference);
    let mut shrinker = Shrinker { best: case, kind, tries: 0, attempt };
    shrinker.cut();
    shrinker.leave_out_steps();
    while shrinker.simplify() {}
    shrinker.leave_out_steps();
    shrinker.best
}

struct Shrinker<A> {
    best: Case,
    kind: String,
    tries: usize,
    attempt: A,
}

impl<A: FnMut(&Scenario) -> Option<Case>> Shrinker<A> {
    /// Keeps `smaller` if it differs in the same way.
    fn accept(&mut self, smaller: &Scenario) -> bool {
        if self.tries == MOST_TRIES {
            return false;
        }
        self.tries += 1;
        match (self.attempt)(smaller) {
            Some(case) if kind(&case.difference) == self.kind => {
                self.best = case;
                true
            }
            _ => false,
        }
    }

    /// Removes the steps after the one that differs.
    fn cut(&mut self) {
        let step = self.best.difference.step;
        if step > 0 && step < self.best.scenario.actions.len() {
            let mut smaller = self.best.scenario.clone();
            smaller.actions.truncate(step);
            self.accept(&smaller);
        }
    }

    fn leave_out_steps(&mut self) {
        let mut size = self.best.scenario.actions.len() / 2;
        while size > 0 {
            let mut end = self.best.scenario.actions.len().saturating_sub(1);
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut smaller = self.best.scenario.clone();
                smaller.actions.drain(start..end);
                self.accept(&smaller);
                end = start.min(self.best.scenario.actions.len().saturating_sub(1));
            }
            size /= 2;
        }
    }

    /// Simplifies one thing after another; true if anything could be simplified.
    fn simplify(&mut self) -> bool {
        let mut simpler_now = false;
        let mut at = 0;
        loop {
            // Candidates of the smallest scenario so far, from the first one not yet tried.
            let Some(smaller) = simpler(&self.best.scenario).into_iter().nth(at) else {
                return simpler_now && self.tries < MOST_TRIES;
            };
            match self.accept(&smaller) {
                true => simpler_now = true,
                false => at += 1,
            }
        }
    }
}

/// Kind of a difference, without addresses and numbers.
fn kind(difference: &Difference) -> String {
    let letters = |word: &&str| {
        word.chars().all(|letter| letter.is_ascii_alphabetic() || ":,-".contains(letter))
    };
    let words: Vec<&str> = difference.what.split_whitespace().filter(letters).collect();
    words.join(" ")
}

/// Every scenario in which one thing is simpler than in this one.
fn simpler(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for at in 0..scenario.sysctl.len() {
        let mut smaller = scenario.clone();
        smaller.sysctl.remove(at);
        all.push(smaller);
    }
    for at in 0..scenario.marks.len() {
        let mut smaller = scenario.clone();
        smaller.marks.remove(at);
        all.push(smaller);
    }
    for (at, action) in scenario.actions.iter().enumerate() {
        let actions: Vec<Action> = match action {
            Action::Command { ipvsadm, stdin } => shorter_commands(ipvsadm)
                .into_iter()
                .map(|ipvsadm| Action::Command { ipvsadm, stdin: stdin.clone() })
                .collect(),
            Action::Packet(frame) => {
                let packets = frame.packet.simpler().into_iter();
                packets.map(|packet| Action::Packet(Frame { packet, ..frame.clone() })).collect()
            }
            _ => Vec::new(),
        };
        for action in actions {
            let mut smaller = scenario.clone();
            smaller.actions[at] = action;
            all.push(smaller);
        }
    }
    all
}

/// The command without one of its options; the first two words, action and service, are kept.
fn shorter_commands(command: &str) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for word in command.split_whitespace() {
        match options.last_mut() {
            Some(option) if !word.starts_with('-') => *option += &format!(" {word}"),
            _ => options.push(word.to_owned()),
        }
    }
    let without = |at: usize| {
        let mut rest = options.clone();
        rest.remove(at);
        rest.join(" ")
    };
    let needed = ["-s", "-r", "-g", "-i", "-m"];
    let optional =
        |at: &usize| !needed.contains(&options[*at].split(' ').next().unwrap_or_default());
    (2..options.len()).filter(optional).map(without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(commands: &[&str]) -> Scenario {
        Scenario {
            name: "n".to_owned(),
            sysctl: vec![("sloppy_tcp".to_owned(), "1".to_owned())],
            marks: Vec::new(),
            actions: commands.iter().map(|command| Action::command(*command)).collect(),
        }
    }

    fn case(scenario: &Scenario) -> Case {
        let difference = Difference {
            step: scenario.actions.len(),
            what: format!("send: unexpected {} bytes", scenario.actions.len()),
        };
        Case { scenario: scenario.clone(), transcript: scenario.transcript(""), difference }
    }

    #[test]
    fn only_needed_steps_and_options_are_left() {
        let all = ["-A -t 10.0.0.100:80 -s rr -p 300", "-Ln", "-Lnc", "-a x", "-C", "-Sn", "-Z"];
        let start = scenario(&all);
        let needs = |scenario: &Scenario| {
            let has = |wanted: &str| {
                scenario.actions.iter().any(|action| {
                    matches!(action, Action::Command { ipvsadm, .. } if ipvsadm.starts_with(wanted))
                })
            };
            (has("-A") && has("-Sn") && has("-Z")).then(|| case(scenario))
        };
        let least = shrink(case(&start), needs).scenario;
        let wanted = scenario(&["-A -t 10.0.0.100:80 -s rr", "-Sn", "-Z"]);
        assert_eq!(least, Scenario { sysctl: Vec::new(), ..wanted });
    }

    #[test]
    fn a_difference_of_another_kind_does_not_count() {
        let start = scenario(&["-C", "-Ln", "-Sn"]);
        let other = |scenario: &Scenario| {
            let mut case = case(scenario);
            case.difference.what = "sleep: nothing sent".to_owned();
            Some(case)
        };
        assert_eq!(shrink(case(&start), other).scenario, start);
    }
}
