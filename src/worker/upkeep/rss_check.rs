//! Checks that a device places frames as it reports. The first frames of every queue are hashed in software and
//! compared with their queue and, if the device reports it, with its own hash.
//!
//! If a device does not follow its RSS rule, the port is treated as unsteered, and frames are handed off by the
//! software hash.

use crate::io::Frame;
use crate::packet::rss::Rule;
use crate::time::{Duration, Instant};
use crate::worker::stats::counters::QueueRssCounts;
use std::fmt;
use std::sync::Arc;

/// Frames checked per queue: enough to detect a wrong table or key with any traffic.
pub const FRAMES: u16 = 64;

/// A device fails the check with this many misplaced frames, if they are also one in this many of those checked. A
/// wrong key or table misplaces at least half of many flows; single frames can be misplaced for unknown reasons.
const MISPLACED_MIN: u64 = 8;
const MISPLACED_SHARE: u64 = 8;

/// Time to wait for frames that were in flight when key and table were written: in buffers of the device, of a switch,
/// or of a hypervisor's network device.
pub const SETTLING: Duration = Duration::from_secs(1);

/// The check of the first frames of one queue.
#[derive(Debug)]
pub struct QueueCheck {
    queue: u16,
    left: u16,
    from: Instant,
    rule: Option<Arc<Rule>>,
}

impl QueueCheck {
    /// `rule`: what the device reports; without it nothing is checked. `started`: when the port was started, or later.
    pub fn new(queue: u16, rule: Option<Arc<Rule>>, started: Instant) -> Self {
        let left = if rule.is_some() { FRAMES } else { 0 };
        QueueCheck { queue, left, from: started + SETTLING, rule }
    }

    /// True while there are frames to check, after the waiting time. Called once per burst.
    #[inline]
    pub fn is_due(&self, now: Instant) -> bool {
        self.left > 0 && now >= self.from
    }

    /// Checks received frames, before they are changed.
    #[cold]
    pub fn look<F: Frame>(&mut self, burst: &[F], evidence: &QueueRssCounts) {
        let Some(rule) = &self.rule else { return };
        for frame in burst.iter().take(usize::from(self.left)) {
            let Some(hash) = rule.certain_hash(frame.bytes()) else { continue };
            self.left -= 1;
            evidence.checked.add(1);
            evidence.misplaced.add(u64::from(rule.queue(hash) != self.queue));
            if let Some(reported) = frame.rss_hash() {
                evidence.reported.add(1);
                evidence.mismatched.add(u64::from(reported != hash));
            }
        }
    }
}

/// Results for one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RssCheckResult {
    pub checked: u64,
    pub misplaced: u64,
    pub reported: u64,
    pub mismatched: u64,
}

impl RssCheckResult {
    /// The sum over a port's queues.
    pub fn of<'a>(queues: impl IntoIterator<Item = &'a QueueRssCounts>) -> Self {
        queues.into_iter().fold(RssCheckResult::default(), |sum, queue| RssCheckResult {
            checked: sum.checked + queue.checked.get(),
            misplaced: sum.misplaced + queue.misplaced.get(),
            reported: sum.reported + queue.reported.get(),
            mismatched: sum.mismatched + queue.mismatched.get(),
        })
    }

    /// True if too many frames arrived on another queue than software computes, so that the device's placement cannot
    /// be used. A different hash alone is harmless as long as frames arrive on the right queue.
    pub fn is_mismatch(&self) -> bool {
        self.misplaced >= MISPLACED_MIN && self.misplaced * MISPLACED_SHARE >= self.checked
    }
}

/// As shown by `directorctl status`.
impl fmt::Display for RssCheckResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RssCheckResult { checked, misplaced, reported, mismatched } = self;
        if *checked == 0 {
            return formatter.write_str("not verified yet: no IP frame has come in");
        }
        if self.is_mismatch() {
            write!(
                formatter,
                "{misplaced} of the first {checked} frames came in by another queue than the \
                 device's key and table say: frames are handed off by the software hash"
            )?;
        } else if *misplaced > 0 {
            write!(
                formatter,
                "placement verified on {checked} frames, {misplaced} on another queue"
            )?;
        } else {
            write!(formatter, "placement verified on {checked} frames")?;
        }
        match (reported, mismatched) {
            (0, _) => formatter.write_str("; the device reports no hash"),
            (_, 0) => write!(formatter, "; its hash verified on {reported}"),
            _ => write!(
                formatter,
                "; {mismatched} of {reported} hashes differ from the software Toeplitz hash"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::rss::{Fields, Input};
    use crate::packet::toeplitz::SYMMETRIC_KEY;
    use crate::testing;
    use proptest::prelude::*;

    /// A frame as received from a device.
    struct Delivered {
        bytes: Vec<u8>,
        hash: Option<u32>,
    }

    impl Frame for Delivered {
        fn bytes(&self) -> &[u8] {
            &self.bytes
        }
        fn bytes_mut(&mut self) -> &mut [u8] {
            &mut self.bytes
        }
        fn prepend(&mut self, _: usize) -> bool {
            false
        }
        fn trim_front(&mut self, _: usize) -> bool {
            false
        }
        fn truncate(&mut self, length: usize) {
            self.bytes.truncate(length);
        }
        fn append(&mut self, _: usize) -> bool {
            false
        }
        fn is_contiguous(&self) -> bool {
            true
        }
        fn rss_hash(&self) -> Option<u32> {
            self.hash
        }
        fn prefetch(&self) {}
    }

    fn rule() -> Arc<Rule> {
        let ports = Input::AddressesAndPorts;
        let fields = Fields { tcp: ports, udp: ports, ..Fields::default() };
        Arc::new(Rule::new(SYMMETRIC_KEY.to_vec(), vec![0, 1, 2, 3], fields, fields))
    }

    fn flow(port: u16) -> Vec<u8> {
        testing::frame().ipv4("10.0.0.1", "192.0.2.80").udp(port, 53).build()
    }

    /// Frames of `ports` as a device distributes them to four queues by its own rule.
    fn deliver(
        ports: impl Iterator<Item = u16>,
        queue_of: impl Fn(u32) -> u16,
        hash_of: impl Fn(u32) -> Option<u32>,
    ) -> RssCheckResult {
        let rule = rule();
        let mut queues: [Vec<Delivered>; 4] = Default::default();
        for port in ports {
            let bytes = flow(port);
            let hash = rule.hash_frame(&bytes).unwrap();
            queues[usize::from(queue_of(hash))].push(Delivered { bytes, hash: hash_of(hash) });
        }
        let evidence: [QueueRssCounts; 4] = Default::default();
        for (number, frames) in queues.iter().enumerate() {
            let mut check = QueueCheck::new(number as u16, Some(Arc::clone(&rule)), Instant::START);
            for burst in frames.chunks(5) {
                if check.is_due(Instant::START + SETTLING) {
                    check.look(burst, &evidence[number]);
                }
            }
        }
        RssCheckResult::of(&evidence)
    }

    #[test]
    fn a_device_that_follows_its_rule_passes() {
        let told = deliver(1..1000, |hash| (hash % 4) as u16, Some);
        assert_eq!(told.checked, 4 * u64::from(FRAMES), "no more frames are checked");
        assert_eq!((told.reported, told.misplaced, told.mismatched), (told.checked, 0, 0));
        assert!(!told.is_mismatch());
        let text = "placement verified on 256 frames; its hash verified on 256";
        assert_eq!(told.to_string(), text);

        let silent = deliver(1..1000, |hash| (hash % 4) as u16, |_| None);
        let text = "placement verified on 256 frames; the device reports no hash";
        assert_eq!(silent.to_string(), text);
    }

    #[test]
    fn a_device_that_uses_one_queue_fails() {
        let told = deliver(1..1000, |_| 0, |_| None);
        assert_eq!(told.checked, u64::from(FRAMES));
        assert!(told.misplaced > told.checked / 2 && told.is_mismatch(), "{told:?}");
        assert!(told.to_string().contains("handed off by the software hash"), "{told}");
    }

    /// A few misplaced frames do not make the device fail.
    #[test]
    fn few_misplaced_frames_are_tolerated() {
        let astray = std::cell::Cell::new(0);
        let queue_of = |hash: u32| {
            astray.set(astray.get() + 1);
            (hash % 4) as u16 ^ u16::from(astray.get() % 37 == 0)
        };
        let told = deliver(1..1000, queue_of, |_| None);
        assert!((1..16).contains(&told.misplaced) && !told.is_mismatch(), "{told:?}");
        let text = format!("on 256 frames, {} on another queue;", told.misplaced);
        assert!(told.to_string().contains(&text), "{told}");
        let first = RssCheckResult { checked: 4, misplaced: 4, ..RssCheckResult::default() };
        assert!(!first.is_mismatch(), "too few frames");
    }

    /// Frames that devices may hash by their content do not count, on any queue.
    #[test]
    fn tunnels_fragments_and_rare_protocols_are_not_checked() {
        let packet = || testing::frame().ipv4("10.0.0.1", "192.0.2.80");
        let frames = [
            packet().udp(4001, 4789).build(),
            packet().udp(6081, 53).build(),
            packet().protocol(47).payload([0; 32]).build(),
            packet().protocol(50).payload([0; 32]).build(),
            packet().udp(4001, 53).fragment(0, true).build(),
        ];
        let evidence = QueueRssCounts::default();
        let mut check = QueueCheck::new(0, Some(rule()), Instant::START);
        let frames = frames.map(|bytes| Delivered { bytes, hash: None });
        check.look(&frames, &evidence);
        assert_eq!(evidence.checked.get(), 0);
        check.look(&[Delivered { bytes: packet().udp(4001, 53).build(), hash: None }], &evidence);
        assert_eq!(evidence.checked.get(), 1);
    }

    #[test]
    fn a_different_hash_is_reported_and_harmless() {
        let told = deliver(1..100, |hash| (hash % 4) as u16, |hash| Some(hash ^ 4));
        assert_eq!((told.mismatched, told.is_mismatch()), (told.reported, false));
        let text = "placement verified on 99 frames; 99 of 99 hashes differ from the software Toeplitz hash";
        assert_eq!(told.to_string(), text);
    }

    #[test]
    fn frames_without_a_hash_are_not_counted() {
        let evidence = QueueRssCounts::default();
        let mut check = QueueCheck::new(0, Some(rule()), Instant::START);
        let arp = Delivered { bytes: vec![0; 60], hash: None };
        check.look(&[arp], &evidence);
        let nothing = RssCheckResult::of([&evidence]);
        assert_eq!(nothing, RssCheckResult::default());
        assert!(check.is_due(Instant::START + SETTLING), "the check continues");
        assert!(nothing.to_string().starts_with("not verified yet"));
    }

    #[test]
    fn without_a_rule_nothing_is_checked() {
        let evidence = QueueRssCounts::default();
        let mut check = QueueCheck::new(3, None, Instant::START);
        assert!(!check.is_due(Instant::START + SETTLING));
        check.look(&[Delivered { bytes: flow(1), hash: Some(1) }], &evidence);
        assert_eq!(evidence.checked.get(), 0);
    }

    #[test]
    fn frames_in_flight_before_the_table_are_ignored() {
        let started = Instant::START + Duration::from_secs(5);
        let check = QueueCheck::new(0, Some(rule()), started);
        assert!(!check.is_due(started));
        assert!(!check.is_due(started + (SETTLING - Duration::from_millis(1))));
        assert!(check.is_due(started + SETTLING));
    }

    proptest! {
        /// With any flows, a device fails only if it misplaced a checked frame.
        #[test]
        fn only_misplaced_frames_make_a_device_fail(ports in prop::collection::vec(any::<u16>(), 0..200), shift in 0..4_u32) {
            let told = deliver(ports.into_iter(), |hash| (hash.wrapping_add(shift) % 4) as u16, |_| None);
            let misplaced = if shift == 0 { 0 } else { told.checked };
            prop_assert_eq!(told.misplaced, misplaced);
        }
    }
}
