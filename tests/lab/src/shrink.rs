//! The smallest scenario on which the director still differs from the kernel.
//!
//! Steps are left out in ever smaller groups, then what is left is made simpler: settings, options of commands, fields of
//! packets. A smaller scenario counts if its difference is of the same kind.

use crate::play::Difference;
use crate::scenario::{Action, Frame, Scenario};
use crate::transcript::Transcript;

/// How many scenarios are tried before the smallest so far has to do.
const MOST_TRIES: usize = 120;

/// A scenario, what the kernel made of it, and where the director differs.
#[derive(Debug, Clone)]
pub struct Case {
    pub scenario: Scenario,
    pub transcript: Transcript,
    pub difference: Difference,
}

/// Makes `case` smaller. `attempt` records and plays a scenario; it returns nothing if the director does as the kernel.
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
    /// Whether `smaller` differs in the same way; it is the best from then on.
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

    /// Nothing after the step that differs is needed.
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

    /// Makes one thing after another simpler; whether anything could be.
    fn simplify(&mut self) -> bool {
        let mut simpler_now = false;
        let mut at = 0;
        loop {
            // The candidates of the best so far, from the first that was not tried yet.
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

/// What a difference is about, without the addresses and numbers of the case.
fn kind(difference: &Difference) -> String {
    let letters = |word: &&str| {
        word.chars().all(|letter| letter.is_ascii_alphabetic() || ":,-".contains(letter))
    };
    let words: Vec<&str> = difference.what.split_whitespace().filter(letters).collect();
    words.join(" ")
}

/// Every scenario with one thing simpler than in this one.
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

/// The command without one of its options, but for the first two: what it does and to which service.
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
    fn only_what_the_difference_needs_is_left() {
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
    fn another_kind_of_difference_does_not_count() {
        let start = scenario(&["-C", "-Ln", "-Sn"]);
        let other = |scenario: &Scenario| {
            let mut case = case(scenario);
            case.difference.what = "sleep: nothing sent".to_owned();
            Some(case)
        };
        assert_eq!(shrink(case(&start), other).scenario, start);
    }
}
