//! What kernel interfaces need.

use super::{Findings, Machine};
use crate::config::Config;

pub(super) fn look(config: &Config, machine: &Machine, findings: &mut Findings) {
    for name in config.ports.iter().filter_map(|port| port.kernel.as_ref()) {
        if !machine.has("dev/net/tun") {
            findings.error(
                format!("kernel interface {name} needs /dev/net/tun, which does not exist"),
                "modprobe tun",
            );
        }
    }
}
