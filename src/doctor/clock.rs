//! The clock that workers read.

use super::{Findings, Machine};
use crate::config::Config;

pub(super) fn look(_: &Config, machine: &Machine, findings: &mut Findings) {
    let source = machine.read("sys/devices/system/clocksource/clocksource0/current_clocksource");
    // In a virtual machine the hypervisor's clock stands for the TSC.
    let Some(source) = source.filter(|source| !matches!(source.as_str(), "tsc" | "kvm-clock"))
    else {
        return;
    };
    findings.warn(
        format!("the kernel's clock source is {source}, because it does not trust the TSC"),
        "dmesg | grep -i tsc says why; boot with tsc=reliable if the processor's TSC is invariant",
    );
}
