//! Settings, timeouts, the MSS clamp, firewall-mark rules and the state of the defence.

use super::{Desired, checks};
use crate::api::Refusal;
use crate::control::defence::{self, Measures};
use crate::model::{MssClamp, Sysctls, Timeouts};
use crate::snapshot::{Marks, Settings};
use std::sync::Arc;

impl Desired {
    pub fn set_marks(&mut self, marks: Marks) {
        self.next.marks = Arc::new(marks);
        self.touch();
    }

    pub fn settings(&self) -> &Settings {
        &self.next.settings
    }

    pub fn sysctls(&self) -> &Sysctls {
        &self.next.settings.sysctls
    }

    /// Settings apply with the next snapshot, those of the defence with the next [`Self::defend`], which is therefore
    /// due at once.
    pub fn set_sysctls(&mut self, sysctls: Sysctls) {
        if self.next.settings.sysctls != sysctls {
            self.next.settings.sysctls = sysctls;
            self.touch();
        }
    }

    pub fn set_mss_clamp(&mut self, clamp: MssClamp) {
        if self.next.settings.mss_clamp != clamp {
            self.next.settings.mss_clamp = clamp;
            self.touch();
        }
    }

    /// Whether IPv4 answers from a VIP that come through the director are forwarded. The routes that connections cache for
    /// replies are no longer valid after a change: the fast path does not look at this setting.
    pub fn set_forward_vip_answers(&mut self, forward: bool) {
        if self.next.settings.drop_vip_answers == forward {
            self.next.settings.drop_vip_answers = !forward;
            self.next.forwarding_changed();
            self.touch();
        }
    }

    /// Evaluates the defence; called every second and after a setting was written. `free`: free entries in the
    /// connection tables of all workers together.
    pub fn defend(&mut self, free: u64) {
        let settings = &mut self.next.settings;
        let mut sysctls = settings.sysctls;
        let old = Measures {
            secure_tcp: settings.secure_tcp,
            drop_packet_rate: settings.drop_packet_rate,
            drop_entry: settings.drop_entry,
        };
        let new = defence::defend(&mut sysctls, free);
        if (old, settings.sysctls) != (new, sysctls) {
            settings.sysctls = sysctls;
            settings.secure_tcp = new.secure_tcp;
            settings.drop_packet_rate = new.drop_packet_rate;
            settings.drop_entry = new.drop_entry;
            self.touch();
        }
    }

    pub fn timeouts(&self) -> Timeouts {
        self.next.settings.timeouts
    }

    pub(super) fn set_timeouts(&mut self, new: &Timeouts) -> Result<(), Refusal> {
        checks::timeouts(new)?;
        let timeouts = &mut self.next.settings.timeouts;
        let kept = |new: u32, old: u32| if new == 0 { old } else { new };
        *timeouts = Timeouts {
            tcp: kept(new.tcp, timeouts.tcp),
            tcp_fin: kept(new.tcp_fin, timeouts.tcp_fin),
            udp: kept(new.udp, timeouts.udp),
        };
        self.touch();
        Ok(())
    }
}
