//! What a device has shown, as a verdict and a line.

use super::flows::Kind;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a director on this device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Frames come in where key and table say: the device places flows.
    Placed,
    /// They do not, and the check found it: workers hand frames over by the software hash.
    Refuted,
    /// The device has no key and table the director could know: software hash as well.
    Software,
    /// Two queues cannot be had.
    OneQueue,
    /// Too few frames to tell.
    Silent,
}

impl Verdict {
    const ALL: [(Verdict, &str); 5] = [
        (Verdict::Placed, "placed"),
        (Verdict::Refuted, "refuted"),
        (Verdict::Software, "software"),
        (Verdict::OneQueue, "one-queue"),
        (Verdict::Silent, "silent"),
    ];
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Verdict, String> {
        let found = Verdict::ALL.iter().find(|(_, name)| *name == text);
        let (verdict, _) = found.ok_or_else(|| format!("{text} is no verdict"))?;
        Ok(*verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) =
            Verdict::ALL.iter().find(|(verdict, _)| verdict == self).ok_or(fmt::Error)?;
        formatter.write_str(name)
    }
}

/// Frames of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub frames: u64,
    pub misplaced: u64,
    pub reported: u64,
    pub mismatched: u64,
}

/// Everything seen on one device.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub kinds: BTreeMap<Kind, Count>,
    /// Frames by queue.
    pub queues: Vec<u64>,
}

impl Tally {
    /// One frame that came in by `queue`. `expected`: what key and table say of it.
    pub fn add(
        &mut self,
        kind: Kind,
        queue: u16,
        reported: Option<u32>,
        expected: Option<(u32, u16)>,
    ) {
        if let Some(count) = self.queues.get_mut(usize::from(queue)) {
            *count += 1;
        }
        let count = self.kinds.entry(kind).or_default();
        count.frames += 1;
        let Some((hash, home)) = expected else { return };
        count.misplaced += u64::from(home != queue);
        if let Some(reported) = reported {
            count.reported += 1;
            count.mismatched += u64::from(reported != hash);
        }
    }

    pub fn total(&self) -> Count {
        self.kinds.values().fold(Count::default(), |sum, count| Count {
            frames: sum.frames + count.frames,
            misplaced: sum.misplaced + count.misplaced,
            reported: sum.reported + count.reported,
            mismatched: sum.mismatched + count.mismatched,
        })
    }

    /// `refuted`: what the director's own check said. It and the whole tally must agree.
    pub fn verdict(&self, has_rule: bool, refuted: bool) -> Verdict {
        let total = self.total();
        match (total.frames, has_rule) {
            (0, _) => Verdict::Silent,
            (_, false) => Verdict::Software,
            _ if refuted => Verdict::Refuted,
            // One queue in use proves nothing: every frame is in the right place of one.
            _ if total.misplaced > 0 || self.queues.contains(&0) => Verdict::Silent,
            _ => Verdict::Placed,
        }
    }
}

/// `packets 4096 (2040 + 2056), hash mismatches 0 of 4096, placement mismatches 0`, and where there are any, of what.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let queues: Vec<String> = self.queues.iter().map(u64::to_string).collect();
        write!(formatter, "packets {} ({}), ", total.frames, queues.join(" + "))?;
        match total.reported {
            0 => formatter.write_str("no hash reported")?,
            reported => write!(formatter, "hash mismatches {} of {reported}", total.mismatched)?,
        }
        write!(formatter, ", placement mismatches {}", total.misplaced)?;
        let wrong: Vec<String> = self
            .kinds
            .iter()
            .filter(|(_, count)| count.misplaced + count.mismatched > 0)
            .map(|(kind, count)| {
                let Count { frames, misplaced, reported, mismatched } = count;
                let hashes = match reported {
                    0 => String::new(),
                    _ => format!(", hash {mismatched} of {reported}"),
                };
                format!("{} {misplaced} of {frames}{hashes}", kind.name())
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { write!(formatter, " [{}]", wrong.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_by_kind_and_queue() {
        let mut tally = Tally { queues: vec![0; 2], ..Tally::default() };
        tally.add(Kind::TcpIpv4, 0, Some(4), Some((4, 0)));
        tally.add(Kind::TcpIpv4, 1, Some(5), Some((5, 1)));
        assert_eq!(
            tally.to_string(),
            "packets 2 (1 + 1), hash mismatches 0 of 2, placement mismatches 0"
        );
        assert_eq!(tally.verdict(true, false), Verdict::Placed);
        tally.add(Kind::UdpIpv6, 1, Some(6), Some((7, 0)));
        assert!(tally.to_string().ends_with("placement mismatches 1 [udp6 1 of 1, hash 1 of 1]"));
        assert_eq!(tally.verdict(true, true), Verdict::Refuted);
        assert_eq!(tally.verdict(true, false), Verdict::Silent, "the check must find it too");
    }

    #[test]
    fn nothing_is_judged_by_nothing() {
        let mut tally = Tally { queues: vec![0; 2], ..Tally::default() };
        assert_eq!(tally.verdict(true, false), Verdict::Silent);
        tally.add(Kind::TcpIpv4, 0, None, None);
        assert_eq!(tally.verdict(true, false), Verdict::Silent, "one queue proves nothing");
        assert_eq!(tally.verdict(false, false), Verdict::Software);
        assert!(tally.to_string().contains("no hash reported"));
    }

    #[test]
    fn verdicts_have_names() {
        for (verdict, name) in Verdict::ALL {
            assert_eq!((verdict.to_string().as_str(), name.parse()), (name, Ok(verdict)));
        }
        assert!("perhaps".parse::<Verdict>().is_err());
    }
}
